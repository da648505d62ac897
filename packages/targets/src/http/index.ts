export { Gate } from './gate.ts';
export { HttpAnswer } from './http-answer.ts';
export { HttpConnection, type HttpRequest } from './http-connection.ts';
export { httpOptions, httpUrl, simpleAuth } from './http-options.ts';
export { instanceFailure } from './instance-failure.ts';
export { maxInstanceBytes } from './max-instance-bytes.ts';
export { retryAfterMs } from './retry-after.ts';
export { connectError, isOfGateway, leavesOpen, statusError } from './status-error.ts';
