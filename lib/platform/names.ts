/**
 * The names that the deployed stacks and the code that runs in them must agree on. This file holds nothing
 * else, so that `infra/` may import it without pulling in any business code.
 */

/** Environment variables of the functions. The PG* ones are read by postgres.js as libpq defines them. */
export const env = {
  databaseHost: 'PGHOST',
  databasePort: 'PGPORT',
  databaseName: 'PGDATABASE',
  databaseUser: 'PGUSER',
  /** verify-full on AWS; the local cloud answers without TLS and overrides it with `disable`. */
  databaseTls: 'PGSSLMODE',
  /** Never set on AWS, where each connection signs an IAM token; the local cloud has no IAM. */
  databasePassword: 'PGPASSWORD',
  databasePoolMax: 'DATABASE_POOL_MAX',
  /** Of the endpoint that spreads over the readers; absent or empty where there are none. */
  databaseReaderHost: 'DATABASE_READER_HOST',
  /** That of the writer where it is not set. */
  databaseReaderPort: 'DATABASE_READER_PORT',
  databaseSecretArn: 'DATABASE_SECRET_ARN',
  /** Of the shared cache tier: redis:// or, with TLS, rediss://. Absent or empty, there is none. */
  cacheUrl: 'CACHE_URL',
  functionTimeoutSeconds: 'FUNCTION_TIMEOUT_SECONDS',
  uploadBucket: 'UPLOAD_BUCKET',
  importObjectsQueueUrl: 'IMPORT_OBJECTS_QUEUE_URL',
  importSlicesQueueUrl: 'IMPORT_SLICES_QUEUE_URL',
  importFinishQueueUrl: 'IMPORT_FINISH_QUEUE_URL',
  importRemovalsQueueUrl: 'IMPORT_REMOVALS_QUEUE_URL',
  exportsQueueUrl: 'EXPORTS_QUEUE_URL',
  importObjectsDeadLettersUrl: 'IMPORT_OBJECTS_DEAD_LETTERS_URL',
  importSlicesDeadLettersUrl: 'IMPORT_SLICES_DEAD_LETTERS_URL',
  importFinishDeadLettersUrl: 'IMPORT_FINISH_DEAD_LETTERS_URL',
  importRemovalsDeadLettersUrl: 'IMPORT_REMOVALS_DEAD_LETTERS_URL',
  exportsDeadLettersUrl: 'EXPORTS_DEAD_LETTERS_URL',
  /** Deliveries of a message before it moves to the dead-letter queue. */
  maxReceiveCount: 'MAX_RECEIVE_COUNT',
  /** Seconds before a failed message comes again: of the first wait, and of the longest. */
  redeliveryBaseSeconds: 'REDELIVERY_BASE_SECONDS',
  redeliveryMaxSeconds: 'REDELIVERY_MAX_SECONDS',
  /** Seconds after the last sign of life of a worker for which its work counts as its own. */
  leaseSeconds: 'LEASE_SECONDS',
  /** Seconds without progress after which the sweep takes an import up again. */
  stalledAfterSeconds: 'STALLED_AFTER_SECONDS',
  /** Seconds that an upload may still take when its address has expired. */
  uploadGraceSeconds: 'UPLOAD_GRACE_SECONDS',
  /** Seconds after its room was closed in which an interview's agent may still give its account of it. */
  abandonedAfterSeconds: 'ABANDONED_AFTER_SECONDS',
  /** Records of a slice at the most; 10,000 where it is not set. */
  importSliceRecords: 'IMPORT_SLICE_RECORDS',
  /** Profiles that an export answers at once at the most; 25,000 where it is not set. */
  exportInlineRows: 'EXPORT_INLINE_ROWS',
  /** Days after which uploads and reports of skipped rows expire. */
  uploadRetentionDays: 'UPLOAD_RETENTION_DAYS',
  /** Days after which what was said in interviews, résumés and e-mails are deleted. */
  transcriptRetentionDays: 'TRANSCRIPT_RETENTION_DAYS',
  /** The function that calls the third parties, from inside the VPC, which has no way out. */
  enrichFunctionName: 'ENRICH_FUNCTION_NAME',
  genderizeUrl: 'GENDERIZE_URL',
  agifyUrl: 'AGIFY_URL',
  nationalizeUrl: 'NATIONALIZE_URL',
  geminiUrl: 'GEMINI_URL',
  /** Of the tasks that modelSettings names no model for. */
  geminiModel: 'GEMINI_MODEL',
  /** JSON: model, budget and timeout by task, and the model that embeds. */
  modelSettings: 'MODEL_SETTINGS',
  resendUrl: 'RESEND_URL',
  livekitUrl: 'LIVEKIT_URL',
  /** The sender of every e-mail, as `Insighta <interviews@example.com>`. */
  mailFrom: 'MAIL_FROM',
  /** Where recruiters work; e-mails link there. */
  consoleUrl: 'CONSOLE_URL',
  geminiFunctionName: 'GEMINI_FUNCTION_NAME',
  mailerFunctionName: 'MAILER_FUNCTION_NAME',
  livekitFunctionName: 'LIVEKIT_FUNCTION_NAME',
  /** The agent that LiveKit calls into rooms; absent or empty, it calls one without a name, or none. */
  livekitAgentName: 'LIVEKIT_AGENT_NAME',
  geminiSecretArn: 'GEMINI_SECRET_ARN',
  resendSecretArn: 'RESEND_SECRET_ARN',
  livekitSecretArn: 'LIVEKIT_SECRET_ARN',
  agentSecretArn: 'AGENT_SECRET_ARN',
  interviewEventsQueueUrl: 'INTERVIEW_EVENTS_QUEUE_URL',
  assessmentsQueueUrl: 'ASSESSMENTS_QUEUE_URL',
  emailsQueueUrl: 'EMAILS_QUEUE_URL',
  resumesQueueUrl: 'RESUMES_QUEUE_URL',
  interviewEventsDeadLettersUrl: 'INTERVIEW_EVENTS_DEAD_LETTERS_URL',
  assessmentsDeadLettersUrl: 'ASSESSMENTS_DEAD_LETTERS_URL',
  emailsDeadLettersUrl: 'EMAILS_DEAD_LETTERS_URL',
  resumesDeadLettersUrl: 'RESUMES_DEAD_LETTERS_URL',
} as const

/** Every Lambda: the name is that of its file in `functions/`. */
export const functionNames = [
  'profiles',
  'imports',
  'exports',
  'system',
  'keys',
  'facets',
  'migrate',
  'split',
  'insert',
  'finish',
  'remove',
  'export',
  'dead-letters',
  'sweep',
  'operations',
  'enrich',
  'candidates',
  'interviews',
  'webhooks',
  'apply-event',
  'assess',
  'send-email',
  'read-resume',
  'gemini',
  'mailer',
  'livekit',
] as const
export type FunctionName = (typeof functionNames)[number]

export const queues = {
  importObjects: 'import-objects',
  importSlices: 'import-slices',
  importFinish: 'import-finish',
  importRemovals: 'import-removals',
  exports: 'exports',
  interviewEvents: 'interview-events',
  assessments: 'assessments',
  emails: 'emails',
  resumes: 'resumes',
} as const
export type QueueName = (typeof queues)[keyof typeof queues]

/** Whoever can refuse work that waits in a queue, as failures, metrics and the API name them. */
export const thirdParties = ['gemini', 'resend'] as const
export type ThirdPartyName = (typeof thirdParties)[number]

/** The variables that hold the address of each queue and of its dead-letter queue. */
export const queueVariables: Record<QueueName, { source: string; deadLetters: string }> = {
  'import-objects': { source: env.importObjectsQueueUrl, deadLetters: env.importObjectsDeadLettersUrl },
  'import-slices': { source: env.importSlicesQueueUrl, deadLetters: env.importSlicesDeadLettersUrl },
  'import-finish': { source: env.importFinishQueueUrl, deadLetters: env.importFinishDeadLettersUrl },
  'import-removals': { source: env.importRemovalsQueueUrl, deadLetters: env.importRemovalsDeadLettersUrl },
  exports: { source: env.exportsQueueUrl, deadLetters: env.exportsDeadLettersUrl },
  'interview-events': {
    source: env.interviewEventsQueueUrl,
    deadLetters: env.interviewEventsDeadLettersUrl,
  },
  assessments: { source: env.assessmentsQueueUrl, deadLetters: env.assessmentsDeadLettersUrl },
  emails: { source: env.emailsQueueUrl, deadLetters: env.emailsDeadLettersUrl },
  resumes: { source: env.resumesQueueUrl, deadLetters: env.resumesDeadLettersUrl },
}

/** The role the functions connect with, and the database they connect to. */
export const database = { name: 'insighta', appUser: 'insighta_app' } as const

/** Uploads arrive under this prefix, which notifies the import queue. */
export const uploadPrefix = 'uploads/'
/** Reports of skipped rows, per slice and joined. */
export const rejectsPrefix = 'rejects/'
/** Résumés arrive under this one, which notifies their own. */
export const resumePrefix = 'resumes/'
/** Bodies of webhooks that are too large for a message, which expire after these days. */
export const webhookPrefix = 'webhooks/'
export const webhookRetentionDays = 30
/** Exports of interviews that no response can hold, which expire after this many days: S3 takes no shorter time. */
export const transcriptPrefix = 'transcripts/'
export const transcriptFileDays = 1
/** Files of exports, which expire after these days. */
export const exportsPrefix = 'exports/'
export const exportRetentionDays = 7

/** Files with all that is held about a person, for whom asked for them: they expire after a day. */
export const personDataPrefix = 'person-data/'
export const personDataDays = 1

/** Fonts of PDFs: the file beside the function that draws them, and the one under node_modules that it is. */
export const fontFiles = {
  'DejaVuSans.ttf': 'dejavu-fonts-ttf/ttf/DejaVuSans.ttf',
  'DejaVuSans-Bold.ttf': 'dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf',
  'NotoNaskhArabic.ttf': '@embedpdf/fonts-arabic/fonts/NotoNaskhArabic-Regular.ttf',
  'NotoNaskhArabic-Bold.ttf': '@embedpdf/fonts-arabic/fonts/NotoNaskhArabic-Bold.ttf',
  'NotoSansDevanagari.ttf':
    '@expo-google-fonts/noto-sans-devanagari/400Regular/NotoSansDevanagari_400Regular.ttf',
  'NotoSansDevanagari-Bold.ttf':
    '@expo-google-fonts/noto-sans-devanagari/700Bold/NotoSansDevanagari_700Bold.ttf',
  'NotoSansThai.ttf': '@expo-google-fonts/noto-sans-thai/400Regular/NotoSansThai_400Regular.ttf',
  'NotoSansThai-Bold.ttf': '@expo-google-fonts/noto-sans-thai/700Bold/NotoSansThai_700Bold.ttf',
  'NotoSansGujarati.ttf': '@expo-google-fonts/noto-sans-gujarati/400Regular/NotoSansGujarati_400Regular.ttf',
  'NotoSansGurmukhi.ttf': '@expo-google-fonts/noto-sans-gurmukhi/400Regular/NotoSansGurmukhi_400Regular.ttf',
  'NotoSansKannada.ttf': '@expo-google-fonts/noto-sans-kannada/400Regular/NotoSansKannada_400Regular.ttf',
  'NotoSansMalayalam.ttf':
    '@expo-google-fonts/noto-sans-malayalam/400Regular/NotoSansMalayalam_400Regular.ttf',
  'NotoSansTamil.ttf': '@expo-google-fonts/noto-sans-tamil/400Regular/NotoSansTamil_400Regular.ttf',
  'NotoSansTelugu.ttf': '@expo-google-fonts/noto-sans-telugu/400Regular/NotoSansTelugu_400Regular.ttf',
  'NotoSansSC.otf': '@embedpdf/fonts-sc/fonts/NotoSansHans-Regular.otf',
  'NotoSansJP.otf': '@embedpdf/fonts-jp/fonts/NotoSansJP-Regular.otf',
  'NotoSansKR.otf': '@embedpdf/fonts-kr/fonts/NotoSansKR-Regular.otf',
  'NotoEmoji.ttf': '@expo-google-fonts/noto-emoji/400Regular/NotoEmoji_400Regular.ttf',
} as const
export type FontFile = keyof typeof fontFiles
