export { fixtureStudy, largeStudy, type FixtureStudy } from './fixture-study.ts';
export { handlerContract } from './handler-contract.ts';
export { pathContract } from './path-contract.ts';
export type {
  ArrangedFault,
  ExpectedFault,
  HandlerContract,
  NotApplicable,
  StartedTarget,
} from './handler-contract-options.ts';
export { fileFacts, part10Facts, type Part10Facts } from './part10-facts.ts';
export { allChecks } from './all-checks.ts';
export { filesUnder, receivedFiles } from './received-files.ts';
