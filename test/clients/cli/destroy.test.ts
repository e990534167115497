import { DeleteObjectsCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3'
import { mockClient } from 'aws-sdk-client-mock'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { emptyBucket } from '../../../clients/cli/destroy.ts'
import { Account, stacksOf } from './cloudformation/account.ts'
import { statuses } from './cloudformation/model.ts'

let account: Account
beforeAll(async () => {
  account = await Account.make()
})
beforeEach(() => {
  account.reset()
  for (const stack of stacksOf('dev')) account.cloud.given(stack, 'UPDATE_COMPLETE')
})
afterAll(() => account[Symbol.asyncDispose]())

describe('destroy', () => {
  it('refuses prod, whatever is said', async () => {
    await expect(account.destroy('prod', '--yes')).rejects.toThrow('prod is not destroyed by a command')
    expect(account.called).toEqual([])
  })

  it('does nothing unless it is meant, and says what would go', async () => {
    await expect(account.destroy('dev')).rejects.toThrow(/account 111122223333.*Add --yes/)
    expect(account.empty).not.toHaveBeenCalled()
    expect(account.called).toHaveLength(1)
  })

  it('empties the bucket, then takes away all stacks', async () => {
    await account.destroy('dev', '--yes')
    expect(account.empty).toHaveBeenCalledExactlyOnceWith('uploads-bucket')
    expect(account.called.at(-1)).toBe('npx cdk destroy --all --force -c insertWorkers=3 -c stage=dev')
    expect([...account.cloud.stacks]).toEqual([])
  })

  it.each(statuses)('takes away a stack in %s, once CloudFormation has finished with it', async (status) => {
    for (const stack of stacksOf('dev')) {
      for (const other of stacksOf('dev')) account.cloud.given(other, 'UPDATE_COMPLETE')
      account.cloud.given(stack, status)
      await account.destroy('dev', '--yes')
      expect([...account.cloud.stacks]).toEqual([])
    }
  })

  it('says what is left after a failure, and goes on from there', async () => {
    account.cloud.fail('delete', 'Insighta-dev-data')
    await expect(account.destroy('dev', '--yes')).rejects.toThrow(
      /failed \(1\)\n\nInsighta-dev-network is UPDATE_COMPLETE\nInsighta-dev-data is DELETE_FAILED \(why\)\nRun the same command again/,
    )
    await account.destroy('dev', '--yes')
    expect([...account.cloud.stacks]).toEqual([])
  })

  it('goes on if the bucket is gone already, and stops if AWS refuses to tell', async () => {
    account.cloud.stacks.delete('Insighta-dev-data')
    await account.destroy('dev', '--yes')
    expect(account.empty).not.toHaveBeenCalled()
    account.failing = { 'describe-stacks': 'AccessDenied' }
    await expect(account.destroy('dev', '--yes')).rejects.toThrow('AccessDenied')
  })

  it('prints a plan that calls nothing of AWS, in the words of the real run', async () => {
    await account.destroy('dev', '--dry-run')
    expect(account.called).toEqual(['npx cdk list -c insertWorkers=3 -c stage=dev'])
    const lines = account.written.split('\n').filter((line) => /^(aws|npx) /.test(line))
    account.forget()
    await account.destroy('dev', '--yes')
    expect(account.called.filter((line) => !line.startsWith('npx cdk list'))).toEqual(lines)
  })

  it('deletes every version of every object, page by page, and says if one stays', async () => {
    const s3 = mockClient(S3Client)
    const version = (Key: string) => ({ Key, VersionId: `${Key}1` })
    s3.on(ListObjectVersionsCommand)
      .resolvesOnce({
        Versions: [version('a')],
        IsTruncated: true,
        NextKeyMarker: 'a',
        NextVersionIdMarker: 'a1',
      })
      .resolves({ DeleteMarkers: [version('b')] })
    s3.on(DeleteObjectsCommand).resolves({})
    expect(await emptyBucket('bucket')).toBe(2)
    expect(s3.commandCalls(ListObjectVersionsCommand)[1]!.args[0].input).toEqual({
      Bucket: 'bucket',
      KeyMarker: 'a',
      VersionIdMarker: 'a1',
    })
    expect(s3.commandCalls(DeleteObjectsCommand).map(({ args }) => args[0].input.Delete?.Objects)).toEqual([
      [version('a')],
      [version('b')],
    ])
    s3.on(DeleteObjectsCommand).resolves({ Errors: [{ Key: 'b', Code: 'AccessDenied', Message: 'no' }] })
    await expect(emptyBucket('bucket')).rejects.toThrow('1 objects of bucket stay: AccessDenied no')
    s3.restore()
  })
})
