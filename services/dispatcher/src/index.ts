export { startDispatcher, type DispatcherOptions } from './start-dispatcher.ts';
export { isOpen, nextWindowAt } from './next-window.ts';
