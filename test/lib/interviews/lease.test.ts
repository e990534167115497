import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { underLease } from '../../../lib/interviews/lease.ts'
import { UnavailableError } from '../../../lib/platform/errors.ts'
import { logger } from '../../../lib/platform/log.ts'
import { pulseOf } from '../../../lib/platform/work/heartbeat.ts'
import { type AssessmentBench, startAssessmentBench } from './assessment-bench.ts'

let bench: AssessmentBench
beforeAll(async () => {
  bench = await startAssessmentBench()
})
beforeEach(async () => {
  await bench.clear()
  vi.spyOn(logger, 'warn').mockImplementation(() => {})
})
afterAll(async () => {
  vi.restoreAllMocks()
  await bench.close()
})

/** Beats every hundredth of a second, for a lease that outlasts any test. */
const pulse = { ...pulseOf(60), beat: 0.01 }

const run = <T>(id: string, work: () => Promise<T>) =>
  underLease(bench.sql, 'assessments', id, () => 60_000, work, pulse)

type Row = { state: string; seconds: number | null; last_error_cause: string | null }

async function rowOf(id: string): Promise<Row> {
  const [row] = await bench.sql<Row[]>`
    select state, extract(epoch from lease_until - now())::float8 as seconds, last_error_cause
    from assessments where interview_id = ${id}`
  return row!
}

describe('a lease', () => {
  it('is renewed for as long as its worker works', async () => {
    const { id } = await bench.requested()
    await run(id, async () => {
      for (let round = 0; round < 2; round++) {
        await bench.expireLease(id)
        while (((await rowOf(id)).seconds ?? 0) < 50) await setTimeout(5)
      }
    })
  })

  it('is not renewed once another worker has the work', async () => {
    const { id } = await bench.requested()
    await run(id, async () => {
      await bench.sql`
        update assessments set lease = ${randomUUID()}, lease_until = now() + interval '5 seconds'
        where interview_id = ${id}`
      await setTimeout(50)
      expect((await rowOf(id)).seconds).toBeLessThanOrEqual(5)
    })
  })

  it('does not end with a renewal that fails', async () => {
    const { id } = await bench.requested()
    const outcome = await run(id, async () => {
      await bench.sql`alter table assessments rename column lease_until to lease_end`
      await vi.waitFor(() =>
        expect(logger.warn).toHaveBeenCalledWith('Renewing a lease failed', expect.anything()),
      )
      await bench.sql`alter table assessments rename column lease_end to lease_until`
      return 'made'
    })
    expect(outcome).toEqual({ outcome: 'done', result: 'made' })
  })

  it('is given up when its connection was cut, once the database answers again', async () => {
    const { id } = await bench.requested()
    const cut = run(id, async () => {
      await bench.sql`select pg_terminate_backend(pg_backend_pid())`
    })
    await expect(cut).rejects.toMatchObject({ code: expect.stringMatching(/57P01|CONNECTION_CLOSED/) })
    expect(await rowOf(id)).toEqual({ state: 'pending', seconds: null, last_error_cause: 'dependency' })
  })

  it('keeps the error that ended the work, also when it cannot be given up', async () => {
    const { id } = await bench.requested()
    const failed = underLease(
      bench.sql,
      'assessments',
      id,
      () => 0,
      async () => {
        await bench.sql`alter table assessments rename column last_error to last_word`
        throw new UnavailableError('S3 is out')
      },
    )
    await expect(failed).rejects.toThrow('S3 is out')
    await bench.sql`alter table assessments rename column last_word to last_error`
    expect(logger.warn).toHaveBeenCalledWith('Work is held until its lease ends', expect.anything())
    expect((await rowOf(id)).state).toBe('generating')
  })
})
