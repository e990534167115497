export { type Simulators, type SimulatorsOptions, startSimulators } from './server.ts'
export type { SimulatedAnswer, SimulatedRequest, Simulator } from './simulator.ts'
