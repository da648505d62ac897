export { startConsole, type ConsoleOptions, type RunningConsole } from './start-console.ts';
export { ConsoleError, type ConsoleErrorCode } from './console-error.ts';
export { hashPassword } from './security/password.ts';
