import { Command, Option } from 'commander'
import { type BenchCloud, openCloud } from './cloud.ts'
import { assessSessions } from './interviews-assessments.ts'
import { drainBurst } from './interviews-burst.ts'
import { turnEvent, turnsOf } from './interviews-events.ts'
import { sendWebhooks } from './interviews-load.ts'
import {
  createInterviews,
  drained,
  type InterviewPartOptions,
  type InterviewSizes,
  localAgentSigner,
} from './interviews-part.ts'
import { receiveWebhooks } from './interviews-receive.ts'
import { readTranscripts } from './interviews-transcripts.ts'
import { goalTable, type PartResult } from './query-part.ts'
import { figure, surroundings, writeSection } from './report.ts'
import { inRun, type Run, say } from './run.ts'

const parts = {
  receive: receiveWebhooks,
  burst: drainBurst,
  transcripts: readTranscripts,
  assessments: assessSessions,
} satisfies Record<string, (options: InterviewPartOptions) => Promise<PartResult>>
type Part = keyof typeof parts
const partNames = Object.keys(parts) as Part[]

const sizes: InterviewSizes = {
  warmUpWebhooks: 3000,
  receiveSeconds: 30,
  burstEvents: 10_000,
  transcriptAsks: 200,
  assessments: 10,
}
const quickSizes: InterviewSizes = {
  warmUpWebhooks: 200,
  receiveSeconds: 5,
  burstEvents: 1000,
  transcriptAsks: 20,
  assessments: 2,
}

type Flags = { quick?: true; keep?: true; only?: Part; out: string }

/** The command `bench interviews`: needs minutes and a machine that does nothing else. */
export function interviewBench(): Command {
  return new Command('interviews')
    .description('Send webhooks, read transcripts and wait for assessments, and write docs/benchmarks.md')
    .option(
      '--quick',
      'small numbers, to see that it works: 5 s, 2,000 webhooks, 20 transcripts of each kind',
    )
    .option('--keep', 'keep the temporary folder')
    .addOption(
      new Option('--only <part>', 'one part alone; its figures are printed and not written').choices(
        partNames,
      ),
    )
    .option('--out <folder>', 'where benchmarks.md is written', 'docs')
    .action((flags: Flags) => inRun(flags.keep === true, (run) => runInterviewBench(run, flags)))
}

async function runInterviewBench(run: Run, { quick, only, out }: Flags): Promise<void> {
  const cloud = await openCloud(run, `${run.folder}/data`)
  try {
    const options = { ...(quick ? quickSizes : sizes), cloud, sign: await localAgentSigner(cloud) }
    await warmUp(options)
    const results: PartResult[] = []
    for (const name of only ? [only] : partNames) {
      const started = performance.now()
      results.push(await parts[name](options))
      say(`${name} took ${figure((performance.now() - started) / 1000)} s`)
    }
    const text = await textOf(results, cloud)
    say(text)
    if (only) return
    await writeSection(out, 'interviews', `## Interviews\n\n${text}`)
    say(`The figures are in ${out}/benchmarks.md`)
  } finally {
    await cloud.close()
  }
}

/**
 * Functions start, connections open, code is compiled. A few at once, so that sender, cloud, database and the
 * functions' processes, which share the cores of one machine here, do not start in each other's way.
 */
async function warmUp({ cloud, sign, warmUpWebhooks }: InterviewPartOptions): Promise<void> {
  const ids = await createInterviews(cloud, 10)
  const turns = ids.flatMap((id, index) => turnsOf(id, Math.ceil(warmUpWebhooks / ids.length), index))
  await sendWebhooks(
    cloud.url,
    turns.map((turn) => sign(turnEvent(turn))),
    { atOnce: 4 },
  )
  await drained(cloud, ids, turns.length)
}

async function textOf(results: readonly PartResult[], cloud: BenchCloud): Promise<string> {
  const goals = results.flatMap((result) => result.goals)
  const details = results.map(({ text }) => text)
  const all = [...(goals.length > 0 ? [goalTable(goals)] : []), ...details, await surroundings(cloud.sql)]
  return all.join('\n\n')
}
