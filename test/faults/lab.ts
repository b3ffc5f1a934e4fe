export * from '../lab/index.ts';
export { Scenario } from '../e2e/support/scenario.ts';
