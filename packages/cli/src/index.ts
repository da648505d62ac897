export { startServices, type RunningServices, type ServiceName } from './run-services.ts';
export { readConfig } from './read-config.ts';
