import { buildApp } from './insighta.ts'

const app = await buildApp()
app.synth()
