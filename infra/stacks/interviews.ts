import type { StackProps } from 'aws-cdk-lib'
import { CfnOutput, Stack, Validations } from 'aws-cdk-lib'
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager'
import { CfnSecret, Secret } from 'aws-cdk-lib/aws-secretsmanager'
import type { Construct } from 'constructs'
import { env, queues, resumePrefix, webhookPrefix } from '../../lib/platform/names.ts'
import type { LambdaFunction, Surroundings } from '../functions.ts'
import {
  allowInvoke,
  allowObjects,
  allowToMiss,
  applicationUser,
  databaseEnvironment,
  makeFunction,
  makeOutsideFunction,
  pascal,
} from '../functions.ts'
import { addresses } from '../outside.ts'
import type { WorkQueue } from '../queues.ts'
import { consume, makeWorkQueue, sendTo } from '../queues.ts'
import { policyOfNamed, type Stage } from '../stage.ts'
import type { DataStack } from './data.ts'

/**
 * The secrets of third parties: the fields of each JSON object, and what they are on one machine, where the
 * simulators take any key and one field of each is drawn by lot.
 */
const secretFields = {
  gemini: { generated: 'api_key', local: {} },
  resend: { generated: 'webhook_secret', local: { api_key: 'local' } },
  livekit: { generated: 'api_secret', local: { api_key: 'local', url: 'ws://localhost:7880' } },
  agent: { generated: 'webhook_secret', local: {} },
} as const
export type SecretName = keyof typeof secretFields

/** Webhooks in, and what follows from them: turns, assessments, e-mails, résumés. */
export class InterviewsStack extends Stack {
  readonly events: WorkQueue
  readonly assessments: WorkQueue
  readonly emails: WorkQueue
  /** All of them, that of the bucket's events too. */
  readonly queues: readonly WorkQueue[]
  readonly secrets: Record<SecretName, ISecret>
  readonly gemini: LambdaFunction
  readonly mailer: LambdaFunction
  readonly livekit: LambdaFunction
  readonly workers: Record<'apply-event' | 'assess' | 'send-email' | 'read-resume', LambdaFunction>

  constructor(scope: Construct, id: string, surroundings: Surroundings, data: DataStack, props?: StackProps) {
    super(scope, id, props)
    const { stage } = surroundings
    const { bucket, cluster, resumes } = data
    this.events = makeWorkQueue(this, stage, queues.interviewEvents, 'apply-event')
    this.assessments = makeWorkQueue(this, stage, queues.assessments, 'assess')
    this.emails = makeWorkQueue(this, stage, queues.emails, 'send-email')
    this.queues = [this.events, this.assessments, this.emails, resumes]
    this.secrets = {
      gemini: makeSecret(this, stage, 'gemini'),
      resend: makeSecret(this, stage, 'resend'),
      livekit: makeSecret(this, stage, 'livekit'),
      agent: makeSecret(this, stage, 'agent'),
    }

    this.gemini = makeOutsideFunction(this, 'gemini', surroundings, {
      ...addresses(env.geminiUrl),
      [env.geminiModel]: stage.geminiModel,
      ...(stage.modelSettings && { [env.modelSettings]: stage.modelSettings }),
    })
    allowSecret(this.gemini, this.secrets.gemini, env.geminiSecretArn)
    this.mailer = makeOutsideFunction(this, 'mailer', surroundings, {
      ...addresses(env.resendUrl),
      [env.mailFrom]: stage.mailFrom,
    })
    allowSecret(this.mailer, this.secrets.resend, env.resendSecretArn)
    this.livekit = makeOutsideFunction(this, 'livekit', surroundings, {})
    allowSecret(this.livekit, this.secrets.livekit, env.livekitSecretArn)

    const environment = databaseEnvironment(cluster)
    const withBucket = { ...environment, [env.uploadBucket]: bucket.bucketName }
    this.workers = {
      'apply-event': makeFunction(this, 'apply-event', surroundings, withBucket),
      assess: makeFunction(this, 'assess', surroundings, environment),
      'send-email': makeFunction(this, 'send-email', surroundings, {
        ...environment,
        [env.consoleUrl]: stage.consoleUrl,
        // The organizer in calendar files.
        [env.mailFrom]: stage.mailFrom,
      }),
      'read-resume': makeFunction(this, 'read-resume', surroundings, withBucket),
    }
    applicationUser(surroundings.stage, cluster, ...Object.values(this.workers))
    const { assess, 'send-email': sendEmail, 'read-resume': readResume } = this.workers
    allowObjects(this.workers['apply-event'], bucket, webhookPrefix, ['s3:GetObject'])
    allowObjects(readResume, bucket, resumePrefix, ['s3:GetObject', 's3:DeleteObject'])
    for (const worker of [this.workers['apply-event'], readResume]) allowToMiss(worker, bucket)
    for (const worker of [assess, readResume]) allowInvoke(worker, this.gemini, env.geminiFunctionName)
    allowInvoke(sendEmail, this.mailer, env.mailerFunctionName)
    sendTo(this.workers['apply-event'], this.assessments, env.assessmentsQueueUrl)
    sendTo(assess, this.emails, env.emailsQueueUrl)

    // Some 5 ms each, of which ten in one invocation save a third; for that the transcript may be a second behind.
    consume(this.workers['apply-event'], this.events, stage, { size: 10, windowSeconds: 1 })
    consume(assess, this.assessments, stage)
    consume(sendEmail, this.emails, stage)
    consume(readResume, resumes, stage)
  }

  /** Lets the function read the secret and tells it where it is. */
  share(name: SecretName, lambda: LambdaFunction): void {
    const variables = {
      gemini: env.geminiSecretArn,
      resend: env.resendSecretArn,
      livekit: env.livekitSecretArn,
      agent: env.agentSecretArn,
    }
    allowSecret(lambda, this.secrets[name], variables[name])
  }
}

function allowSecret(lambda: LambdaFunction, secret: ISecret, variable: string): void {
  secret.grantRead(lambda)
  lambda.addEnvironment(variable, secret.secretArn)
}

/**
 * `insighta-<stage>-<name>`. On AWS it is created empty, for an operator to fill: what is missing in it refuses
 * whatever needs it.
 */
function makeSecret(scope: Stack, stage: Stage, name: SecretName): ISecret {
  const { generated, local } = secretFields[name]
  const fields = [...Object.keys(local), generated]
  const secret = new CfnSecret(scope, `${pascal(name)}Secret`, {
    name: `insighta-${stage.name}-${name}`,
    description: `JSON with ${fields.join(', ')}`,
    ...(stage.name === 'local'
      ? {
          generateSecretString: {
            secretStringTemplate: JSON.stringify(local),
            generateStringKey: generated,
            excludePunctuation: true,
            // A multiple of 4 is base64 too, which webhook secrets are.
            passwordLength: 40,
          },
        }
      : { secretString: '{}' }),
  })
  secret.applyRemovalPolicy(policyOfNamed(stage))
  new CfnOutput(scope, `${pascal(name)}SecretName`, { value: `insighta-${stage.name}-${name}` })
  Validations.of(secret).acknowledge({
    id: 'AwsSolutions-SMG4',
    reason: 'A third party issues it: whoever rotates it there puts the new value here, read within minutes.',
  })
  return Secret.fromSecretCompleteArn(scope, `${pascal(name)}SecretReference`, secret.ref)
}
