export { startDispatcher, type DispatcherOptions } from './start-dispatcher.ts';
