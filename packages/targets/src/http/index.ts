export { Gate } from './gate.ts';
export { HttpAnswer } from './http-answer.ts';
export { HttpConnection, type HttpRequest } from './http-connection.ts';
export { httpAuth, httpOptions, httpTls, httpUrl, simpleAuth, type HttpOptions, type HttpTls } from './http-options.ts';
export { maxInstanceBytes } from './max-instance-bytes.ts';
export { networkError } from './network-error.ts';
export { retryAfterMs } from './retry-after.ts';
export { connectError, statusError } from './status-error.ts';
export { tlsOptions } from './tls-files.ts';
