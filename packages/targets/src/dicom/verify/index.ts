export { serveReports } from './serve-reports.ts';
export { verifyStored } from './verify-stored.ts';
export { testListener } from './test-listener.ts';
