import { once } from 'node:events'
import { writeExport } from '../../lib/exports/write.ts'
import { connect, disconnect } from '../../lib/platform/db.ts'
import { createStorage } from '../../lib/platform/storage.ts'

/** A worker in a process of its own: says when it has begun, and goes on once its standard input ends. */
const storage = createStorage(process.env.UPLOAD_BUCKET!)
const halfWay: typeof storage = {
  ...storage,
  async write(key, body, contentType) {
    const chunks: Buffer[] = []
    for await (const chunk of body) {
      if (chunks.push(chunk) !== 2) continue
      process.stdout.write('begun\n')
      await once(process.stdin.resume(), 'end')
    }
    await storage.put(key, Buffer.concat(chunks), contentType)
  },
}
const context = { sql: connect(), storage: halfWay, remainingMs: () => 60_000 }
const { outcome } = await writeExport(context, process.argv[2]!)
process.stdout.write(outcome)
await disconnect()
