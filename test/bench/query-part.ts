import type { Bar } from './chart.ts'
import type { BenchCloud } from './cloud.ts'
import type { HandlerUnderTest } from './query-handler.ts'
import { figure, table } from './report.ts'
import type { Run } from './run.ts'
import type { BaseTable } from './table.ts'

export type PartOptions = {
  run: Run
  cloud: BenchCloud
  base: BaseTable
  handler: HandlerUnderTest
  rounds: number
  say(line: string): void
}

/** A figure beside what it should be; `limit` is the most it may be, or with `atLeast` the least. */
export type Goal = { name: string; value: number; limit: number; unit: string; atLeast?: true }

/** What a part has measured: for the table of goals, its own lines below it, and the chart. */
export type PartResult = { goals: Goal[]; text: string; bars: Bar[] }

export function goalMet({ value, limit, atLeast }: Goal): boolean {
  return atLeast ? value >= limit : value <= limit
}

export function goalTable(goals: readonly Goal[]): string {
  const lines = goals.map((goal) => [
    goal.name,
    `${goal.atLeast ? '>=' : '<='} ${amount(goal.limit, goal.unit)}`,
    amount(goal.value, goal.unit),
    figure(goal.value / goal.limit, 2),
    goalMet(goal) ? 'yes' : 'no',
  ])
  return table(['goal', 'to be', 'measured', 'measured / to be', 'met'], lines)
}

function amount(value: number, unit: string): string {
  const digits = value >= 100 || Number.isInteger(value) ? 0 : value >= 1 ? 1 : 3
  return `${figure(value, digits)} ${unit}`
}
