import { Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { buildApp } from './insighta.ts'
import { stageOf } from './stage.ts'

const app = await buildApp()
// Whatever is deployed passes the rules first; on one machine nothing is.
if (stageOf(app.node).name !== 'local') Validations.of(app).addPlugins(new AwsSolutionsChecks(app))
app.synth()
