import { describe, expect, it } from 'vitest'
import { stageWith as stage } from './synthesis.ts'

describe('the stage', () => {
  it('is local when the context names none', () => {
    expect(stage({}).name).toBe('local')
  })

  it('stops at a name that does not exist and lists those that do', () => {
    expect(() => stage({ stage: 'production' })).toThrow('"production"; it must be one of local, dev, prod')
    expect(() => stage({ timeouts: 'fast' })).toThrow('normal, short')
  })

  it('has function timeouts of seconds, and fewer deliveries, when the context asks for short ones', () => {
    const { timeouts, maxReceiveCount } = stage({ timeouts: 'short' })
    expect(Math.max(timeouts.split, timeouts.insert, timeouts.finish)).toBeLessThan(10)
    expect(maxReceiveCount).toBeLessThan(stage({}).maxReceiveCount)
  })

  it('stops without what prod has no default of, and says how to give it', () => {
    for (const key of ['mailFrom', 'consoleUrl']) {
      expect(() => stage({ stage: 'prod', [key]: undefined })).toThrow(
        `The context "${key}" is missing: give it by -c ${key}=<value>`,
      )
      expect(() => stage({ stage: 'dev', [key]: undefined })).not.toThrow()
    }
  })

  it('takes the origins of the console from the context', () => {
    expect(stage({ stage: 'prod' }).consoleOrigins).toEqual([])
    expect(stage({ consoleOrigins: 'https://a.example, https://b.example' }).consoleOrigins).toEqual([
      'https://a.example',
      'https://b.example',
    ])
  })

  it('takes the settings of models from the context, as JSON or as an object', () => {
    const settings = { chat: { model: 'gemini-pro', timeout_seconds: 20 }, embedding: { dimensions: 256 } }
    expect(stage({}).modelSettings).toBe('')
    for (const modelSettings of [settings, JSON.stringify(settings)]) {
      expect(JSON.parse(stage({ modelSettings }).modelSettings)).toEqual(settings)
    }
  })

  it.each([
    ['{', 'are not JSON'],
    ['{"chats":{}}', 'chats'],
    [{ chat: { model: '../x' } }, 'chat.model'],
    [{ assessment: { max_output_tokens: 1 } }, 'assessment.max_output_tokens'],
    [{ embedding: { dimensions: 3.5 } }, 'embedding.dimensions'],
  ])('refuses settings of models that no call could have: %j', (modelSettings, problem) => {
    expect(() => stage({ modelSettings })).toThrow(problem)
  })

  it('takes the size of a slice, the number of insert workers and the rows of an answer from the context, within their bounds', () => {
    expect(stage({}).sliceRecords).toBeUndefined()
    expect(stage({ sliceRecords: '2500', insertWorkers: '6' })).toMatchObject({
      sliceRecords: 2500,
      workerConcurrency: { ...stage({}).workerConcurrency, insert: 6 },
    })
    expect(stage({}).exportInlineRows).toBeUndefined()
    expect(stage({ exportInlineRows: '10' }).exportInlineRows).toBe(10)
    expect(() => stage({ exportInlineRows: '25001' })).toThrow('whole number from 1 to 25000')
    expect(() => stage({ insertWorkers: '1' })).toThrow('whole number from 2 to 1000')
    expect(() => stage({ sliceRecords: 'many' })).toThrow('"many"; it must be a whole number')
  })

  it('shares a cache on this machine, and elsewhere when the context asks for it', () => {
    expect(['local', 'dev', 'prod'].map((name) => stage({ stage: name }).cache)).toEqual([
      'valkey',
      'none',
      'none',
    ])
    expect(stage({ stage: 'prod', cache: 'valkey' }).cache).toBe('valkey')
    expect(stage({ cache: 'none' }).cache).toBe('none')
    expect(() => stage({ cache: 'redis' })).toThrow('"redis"; it must be one of none, valkey')
  })

  it('keeps data and reserves concurrency in prod only', () => {
    for (const name of ['local', 'dev']) {
      expect(stage({ stage: name })).toMatchObject({ reserveConcurrency: false, deletionProtection: false })
    }
    expect(stage({ stage: 'prod' })).toMatchObject({
      reserveConcurrency: true,
      deletionProtection: true,
      removalPolicy: 'retain',
    })
  })
})
