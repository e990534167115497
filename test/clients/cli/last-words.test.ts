import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Account, stacksOf } from './cloudformation/account.ts'

let account: Account
beforeAll(async () => {
  account = await Account.make()
})
beforeEach(() => {
  account.reset()
  for (const stack of stacksOf('prod')) account.cloud.given(stack, 'UPDATE_COMPLETE')
})
afterAll(() => account[Symbol.asyncDispose]())

const topics = {
  core: 'arn:aws:sns:eu-west-1:111122223333:Insighta-prod-observability-Alarms',
  web: 'arn:aws:sns:us-east-1:111122223333:Insighta-prod-web-Alarms',
}
const subscribe = (region: string, topic: string) =>
  `aws sns subscribe --region ${region} --topic-arn ${topic} --protocol email --notification-endpoint you@example.com`
const confirmed = (topic: string) => ({ [topic]: [`${topic}:0b1c`] })

describe('the last words of a deployment', () => {
  it('name each secret that is empty and no other, with how to fill it and without its value', async () => {
    await account.deploy('prod', '--yes')
    expect(account.written).toContain(
      `Secrets that are empty; until they are filled, what needs them is refused:\n` +
        `aws secretsmanager put-secret-value --secret-id insighta-prod-gemini --secret-string '{"api_key":"..."}'\n`,
    )
    expect(account.written).not.toContain('insighta-prod-agent')
    expect(account.called.join('\n')).not.toContain('get-secret-value')
  })

  it('name the topics without a listener in both regions', async () => {
    await account.deploy('prod', '--yes')
    expect(account.written).toContain(
      'Alarms that no one hears, until someone subscribes and confirms:\n' +
        `${subscribe('eu-west-1', topics.core)}\n${subscribe('us-east-1', topics.web)}\n`,
    )
  })

  it.each([
    ['one that waits for confirmation', ['PendingConfirmation'], true],
    ['one that was cancelled', ['Deleted'], false],
    ['several that wait', ['PendingConfirmation', 'PendingConfirmation'], true],
  ])('take %s for no listener', async (_, subscriptions, waiting) => {
    account.subscriptions = { ...confirmed(topics.core), [topics.web]: subscriptions }
    await account.deploy('prod', '--yes')
    expect(account.written).toContain(subscribe('us-east-1', topics.web))
    expect(account.written).not.toContain(subscribe('eu-west-1', topics.core))
    expect(account.written.includes('has subscribed but not confirmed')).toBe(waiting)
  })

  it('are silent about topics that someone listens to, one confirmed among others included', async () => {
    account.subscriptions = {
      ...confirmed(topics.core),
      [topics.web]: ['PendingConfirmation', `${topics.web}:0b1c`],
    }
    await account.deploy('prod', '--yes')
    expect(account.written).not.toContain('Alarms that no one hears')
  })

  it('say what could not be looked up and why, since the deployment itself is done', async () => {
    account.failing = { 'list-subscriptions': 'AccessDenied: sns', 'describe-secret': 'AccessDenied: secret' }
    await account.deploy('prod', '--yes')
    expect(account.written).toContain(`${topics.core} could not be looked up: AccessDenied: sns`)
    expect(account.written).toContain('insighta-prod-gemini could not be looked up: AccessDenied: secret')
  })

  it('end with how to make a key', async () => {
    await account.deploy('dev', '--yes')
    expect(account.written).toMatch(
      /A key, shown this once:\nnpm run keys -- --function keys-function create --role admin .*\n$/,
    )
  })
})
