/** The types of files that a résumé may be. */
export const resumeTypes = {
  pdf: 'application/pdf',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  txt: 'text/plain',
} as const
export type ResumeType = (typeof resumeTypes)[keyof typeof resumeTypes]

/** Characters of a résumé that are kept at the most: some 60 pages. */
export const longestResume = 200_000
/** The same before it is tidied: blanks and empty lines go. */
export const longestText = 4 * longestResume

/** What browsers say of a file that they know nothing about. */
const unknownType = 'application/octet-stream'

/** The type as it is said, or as the extension says where it is not; undefined for what no résumé is. */
export function resumeTypeOf(filename: string, contentType = unknownType): ResumeType | undefined {
  const said = contentType.split(';')[0]!.trim().toLowerCase()
  if (said !== unknownType) return Object.values(resumeTypes).find((type) => type === said)
  const extension = /\.([^.]+)$/.exec(filename)?.[1]?.toLowerCase()
  return Object.entries(resumeTypes).find(([known]) => known === extension)?.[1]
}
