export { fixtureStudy, largeStudy, type FixtureInstance, type FixtureStudy } from './fixture-study.ts';
export {
  handlerContract,
  type ArrangedFault,
  type CheckFault,
  type ExpectedFault,
  type HandlerContract,
  type NotApplicable,
  type StartedTarget,
} from './handler-contract.ts';
export { fileFacts, part10Facts, type Part10Facts } from './part10-facts.ts';
export { allChecks } from './all-checks.ts';
export { filesUnder, receivedFiles } from './received-files.ts';
export { TestDelivery, type Attempt, type AttemptHooks, type ChunkPosition } from './run-fixture.ts';
