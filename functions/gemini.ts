import { geminiFromEnvironment } from '../lib/interviews/gemini.ts'
import { modelRequestSchema } from '../lib/interviews/model.ts'
import { remoteFunction } from '../lib/platform/remote.ts'

const model = geminiFromEnvironment()

/**
 * Asks Gemini. It runs where there is a way out to the internet and none to the database; whoever needs an
 * answer inside invokes it. Prompts and answers are nowhere logged.
 */
export const handler = remoteFunction(modelRequestSchema, async (request, options) => {
  if (request.kind === 'embed') return model.embed(request.texts, request.embed_kind, options)
  const { kind: _, task, ...prompt } = request
  return model.ask(task, prompt, options)
})
