const kinds = ['', 'account', 'start', 'newcomer', 'minutes'] as const

/** A block of shell commands in a page of the documentation. */
export type ShellBlock = {
  page: string
  /** Counted from 1 in its page. */
  number: number
  /**
   * The word behind `sh`: `account` needs an AWS account or GitHub and is not run here, `start` goes on until it is
   * stopped, `newcomer` is what the matrix runs, `minutes` measures for minutes and runs with `LONG_BLOCKS=1` only.
   * Without one the block runs as it is, behind those before it.
   */
  kind: (typeof kinds)[number]
  text: string
}

/** The shell blocks of a page, in their order. Throws if the word behind `sh` is none of the kinds. */
export function shellBlocks(page: string, markdown: string): ShellBlock[] {
  return [...markdown.matchAll(/^```sh(.*)\n([\s\S]*?)^```$/gm)].map(([, word = '', text = ''], index) => {
    const kind = kinds.find((known) => known === word.trim())
    if (kind === undefined) throw new Error(`${page}: a block of the kind "sh${word}" is not known`)
    return { page, number: index + 1, kind, text }
  })
}
