// Runs inside each execution environment: a client of Lambda's Runtime API for Node.js.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
// It loads the handler of _HANDLER, then takes one invocation after the other until the process is ended. What a
// handler, a log line and an error look like is what AWS's own client for nodejs24 makes of them; response
// streaming, which no function here uses, is missing.
// JavaScript, and no imports: stripping types and the ES view of node:http (which loads undici) would add 15 ms to
// each start.
const { Agent, request } = process.getBuiltinModule('node:http')
const { existsSync } = process.getBuiltinModule('node:fs')
const { basename, dirname, resolve } = process.getBuiltinModule('node:path')
const { pathToFileURL } = process.getBuiltinModule('node:url')
const { format } = process.getBuiltinModule('node:util')

const { AWS_LAMBDA_RUNTIME_API, LAMBDA_TASK_ROOT, _HANDLER } = process.env
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

/** Process exit codes of AWS's client, by what ended it. */
const exitCodes = { initError: 1, unhandledRejection: 128, uncaughtException: 129 }

let requestId

function call(method, path, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const bytes = body === undefined ? undefined : Buffer.from(body)
    const sent = request(
      `http://${AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/${path}`,
      {
        method,
        agent,
        headers:
          bytes === undefined
            ? headers
            : { 'content-type': 'application/json', 'content-length': bytes.length, ...headers },
      },
      (response) => {
        const chunks = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }),
        )
      },
    )
    sent.on('error', reject)
    sent.end(bytes)
  })
}

class RuntimeError extends Error {
  constructor(type, message) {
    super(message)
    this.name = `Runtime.${type}`
  }
}

/** The module and export that `folder/file.export` names; the export may be nested: `index.api.handler`. */
async function loadHandler() {
  const [, file, path] = /^([^.]+)\.(.+)$/.exec(basename(_HANDLER)) ?? []
  if (file === undefined || _HANDLER.includes('..')) {
    throw new RuntimeError('MalformedHandlerName', `'${_HANDLER}' is not a valid handler name`)
  }
  const stem = resolve(LAMBDA_TASK_ROOT, dirname(_HANDLER), file)
  const found = ['.js', '.mjs', '.cjs'].map((extension) => stem + extension).find((name) => existsSync(name))
  if (found === undefined) throw new RuntimeError('ImportModuleError', `Cannot find module '${file}'`)
  const loaded = await import(pathToFileURL(found).href).catch((error) => {
    if (error instanceof SyntaxError) throw new RuntimeError('UserCodeSyntaxError', String(error))
    if (['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes(error?.code)) {
      throw new RuntimeError('ImportModuleError', String(error))
    }
    throw error
  })
  const inside = (scope) => path.split('.').reduce((value, name) => value?.[name], scope)
  const handler = inside(loaded) ?? inside(loaded.default)
  if (handler === undefined) {
    throw new RuntimeError('HandlerNotFound', `${_HANDLER} is undefined or not exported`)
  }
  if (typeof handler !== 'function') {
    throw new RuntimeError('HandlerNotFound', `${_HANDLER} is not a function`)
  }
  if (handler.length >= 3) {
    const message =
      'A handler that takes a callback is not supported: make it async, or let it return a promise'
    throw new RuntimeError('CallbackHandlerDeprecated', message)
  }
  return handler
}

function contextOf(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms'])
  const { env } = process
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    getRemainingTimeInMillis: () => deadline - Date.now(),
  }
}

/** How an error looks on the wire. */
function wireError(error) {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error), trace: [] }
  return { errorType: error.name, errorMessage: error.message, trace: (error.stack ?? '').split('\n') }
}

/** How an error looks in the log: with what hangs on it, too, such as codes and causes. */
function loggedError(error) {
  try {
    return JSON.stringify(error instanceof Error ? error : wireError(error), (_, value) =>
      value instanceof Error ? shownError(value) : value,
    )
  } catch {
    // Circular, or a getter that throws.
    return JSON.stringify(wireError(error))
  }
}

function shownError(error) {
  const { trace, ...shown } = wireError(error)
  const cause = error.cause === undefined ? {} : { cause: error.cause }
  return { ...shown, ...error, ...cause, stack: trace }
}

// One line of the log each, also of a message of several lines: a carriage return is no end of a line there.
for (const [method, level] of Object.entries({
  trace: 'TRACE',
  debug: 'DEBUG',
  log: 'INFO',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
})) {
  console[method] = (...parts) => {
    const line = `${new Date().toISOString()}\t${requestId}\t${level}\t${format(...parts)}`
    process.stdout.write(`${line.replaceAll('\n', '\r')}\n`)
  }
}

function report(path, error) {
  const shown = wireError(error)
  return call('POST', path, JSON.stringify(shown), {
    'lambda-runtime-function-error-type': encodeURIComponent(shown.errorType),
  })
}

/** Reports what nobody caught and ends the process, since its state is unknown. */
function fatal(code, title, error) {
  console.error(title, loggedError(error))
  const path = requestId === undefined ? 'init/error' : `invocation/${requestId}/error`
  const end = () => process.exit(code)
  report(path, error).then(end, end)
}

process.on('uncaughtException', (error) => fatal(exitCodes.uncaughtException, 'Uncaught Exception', error))
process.on('unhandledRejection', (reason) => {
  const error = new RuntimeError('UnhandledPromiseRejection', String(reason))
  if (reason instanceof Error) error.stack = reason.stack
  fatal(exitCodes.unhandledRejection, 'Unhandled Promise Rejection', error)
})

async function run() {
  let handler
  try {
    handler = await loadHandler()
  } catch (error) {
    console.error('Init Error', loggedError(error))
    await report('init/error', error)
    return process.exit(exitCodes.initError)
  }
  for (;;) {
    const { headers, body } = await call('GET', 'invocation/next')
    requestId = headers['lambda-runtime-aws-request-id']
    process.env._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id']
    let answer
    try {
      // JSON has no undefined: a handler that returns nothing returns null.
      answer = JSON.stringify((await handler(JSON.parse(body), contextOf(headers))) ?? null) ?? 'null'
    } catch (error) {
      console.error('Invoke Error', loggedError(error))
      await report(`invocation/${requestId}/error`, error)
      continue
    }
    await call('POST', `invocation/${requestId}/response`, answer)
  }
}

// Not awaited at the top level: there a handler that never settles would end the process with 13, not 0. What fails
// here is a call of the Runtime API: the cloud is gone, and no one would ever ask this process for anything again.
run().catch(() => process.exit(1))
