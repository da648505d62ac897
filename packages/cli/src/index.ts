export { runServices } from './run-services.ts';
export { startServices, type RunningServices, type ServiceName } from './start-services.ts';
export { readConfig } from './read-config.ts';
