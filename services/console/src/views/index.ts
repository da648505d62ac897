/** Read models for other front ends than the pages: the command line shows the same as the console. */
export { runDry, runDryOnFacts } from './dry-run.ts';
export { listDeliveries } from './list-deliveries.ts';
export { listStudies, type StudyQuery } from './list-studies.ts';
export type { Delivery, DeliveryDetail, DryRun, Source, StudyDetail, StudySummary, Target } from './schemas.ts';
export { showCache } from './show-cache.ts';
export { showOverview } from './show-system.ts';
export { listSources } from './show-system.ts';
export { showStudy } from './show-study.ts';
export { listTargets, showTarget } from './show-system.ts';
export { showWorkers } from './show-system.ts';
export type { ViewContext } from './view-context.ts';
export { SourceLookup } from '../source/source-lookup.ts';
