import { OrthancError } from './orthanc-error.ts';

/** TLS towards Orthanc. Certificates and keys are PEM texts, not file names. */
export interface OrthancTlsOptions {
  /** Trusted certificate authorities; default: node's own list. */
  ca?: string | Buffer | (string | Buffer)[];
  /** Client certificate, for a server that requires one. */
  cert?: string | Buffer;
  /** Private key of `cert`. */
  key?: string | Buffer;
  /** Passphrase of `key`. */
  passphrase?: string;
  /** Server name to request and to expect in the certificate, if it is not the host of `url`. */
  servername?: string;
  /** Set false to accept any certificate: for tests, never for patient data. Default true. */
  rejectUnauthorized?: boolean;
}

export interface OrthancClientOptions {
  /** Where Orthanc's REST API is, e.g. `http://localhost:8042` or `https://pacs.example/orthanc/`. */
  url: string;
  /** HTTP basic authentication. `username` and `password` in `url` are accepted too, and never shown in an error. */
  username?: string;
  password?: string;
  /** Bearer token, instead of a user. */
  token?: string;
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>;
  tls?: OrthancTlsOptions;
  /** Maximum time without data from the server: before a response begins, and between two parts of it. Default 60 000 ms. */
  timeoutMs?: number;
  /** Maximum time to connect, including TLS. Default 10 000 ms. */
  connectTimeoutMs?: number;
  /**
   * Minimum bytes per second, in either direction, while we wait for the server; measured over each `timeoutMs`. 0 = no
   * limit. Default 1 000.
   */
  minBytesPerSecond?: number;
  /** Maximum connections for files; the same number each for other reads, for further repeatable calls, and for all others. Default 8. */
  maxConnections?: number;
  /** Maximum size of a JSON response. Default 64 MiB. */
  maxJsonBytes?: number;
  /** Maximum bytes of one instance held in memory while its reader is slow. Default 4 MiB. */
  maxBufferedBytes?: number;
  /** An instance of up to this size is returned as one chunk. Default 1 MiB. */
  wholeBytes?: number;
  /** Maximum accepted `Retry-After` of the server for an idempotent call; 0 never waits. Default 5 000 ms. */
  maxRetryAfterMs?: number;
}

/** Options with defaults and the parsed URL. */
export interface ResolvedOptions {
  secure: boolean;
  /** `http://host:port`, without user or path. */
  origin: string;
  hostname: string;
  port: number;
  /** Value of the Host header. */
  host: string;
  /** Path prefix of every call: empty, or `/prefix` without a trailing slash. */
  prefix: string;
  /** Headers of every request, credentials among them. */
  headers: Readonly<Record<string, string>>;
  tls: OrthancTlsOptions;
  timeoutMs: number;
  connectTimeoutMs: number;
  minBytesPerSecond: number;
  maxConnections: number;
  maxJsonBytes: number;
  maxBufferedBytes: number;
  wholeBytes: number;
  maxRetryAfterMs: number;
}

/**
 * @throws OrthancError `bad-request` naming the option at fault.
 */
export function resolveOptions(options: OrthancClientOptions): ResolvedOptions {
  const url = parseUrl(options.url);
  const secure = url.protocol === 'https:';
  return {
    secure,
    origin: `${url.protocol}//${url.host}`,
    hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    host: url.host,
    prefix: url.pathname.replace(/\/+$/, ''),
    headers: resolveHeaders(options, url),
    tls: options.tls ?? {},
    timeoutMs: atLeast(options.timeoutMs, 'timeoutMs', 60_000, 1),
    connectTimeoutMs: atLeast(options.connectTimeoutMs, 'connectTimeoutMs', 10_000, 1),
    minBytesPerSecond: atLeast(options.minBytesPerSecond, 'minBytesPerSecond', 1_000, 0),
    maxConnections: atLeast(options.maxConnections, 'maxConnections', 8, 1),
    maxJsonBytes: atLeast(options.maxJsonBytes, 'maxJsonBytes', 64 * 1024 * 1024, 1),
    maxBufferedBytes: atLeast(options.maxBufferedBytes, 'maxBufferedBytes', 4 * 1024 * 1024, 64 * 1024),
    wholeBytes: atLeast(options.wholeBytes, 'wholeBytes', 1024 * 1024, 0),
    maxRetryAfterMs: atLeast(options.maxRetryAfterMs, 'maxRetryAfterMs', 5_000, 0),
  };
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new OrthancError('bad-request', 'url: must be an http:// or https:// address');
  }
  return url;
}

function resolveHeaders(options: OrthancClientOptions, url: URL): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      throw new OrthancError('bad-request', `headers.${JSON.stringify(name)}: not a valid HTTP header`);
    }
    headers[name.toLowerCase()] = value;
  }
  const username = options.username ?? decoded(url.username);
  const password = options.password ?? decoded(url.password);
  if (options.token !== undefined) {
    if (!/^[\x21-\x7e]+$/.test(options.token)) throw new OrthancError('bad-request', 'token: must be printable ASCII');
    headers['authorization'] = `Bearer ${options.token}`;
  } else if (username !== '' || password !== '') {
    if (username.includes(':')) throw new OrthancError('bad-request', 'username: must not contain a colon');
    headers['authorization'] = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }
  return headers;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new OrthancError('bad-request', 'url: user or password in it is not percent-encoded; use username, password');
  }
}

function atLeast(value: number | undefined, name: string, fallback: number, least: number): number {
  if (value === undefined) return fallback;
  if (!Number.isSafeInteger(value) || value < least) {
    throw new OrthancError('bad-request', `${name}: must be a whole number of at least ${least}, is ${value}`);
  }
  return value;
}
