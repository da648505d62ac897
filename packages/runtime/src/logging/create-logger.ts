import { createRequire } from 'node:module';
import { DispatchError, printable } from '@dicom-dispatch/core';
import { pino, type Logger, type LoggerOptions } from 'pino';
import type { PinoPretty } from 'pino-pretty';
import { currentTraceId } from '../process/attempt-trace.ts';

export type { Logger } from 'pino';

/**
 * Keys whose values are never logged, in the first three levels of the facts of a log line: secrets and patient data.
 */
const hiddenKeys = [
  'password',
  'passphrase',
  'secret',
  'token',
  'authorization',
  'cookie',
  'privateKey',
  'secretAccessKey',
  'PatientName',
  'PatientID',
  'PatientBirthDate',
  'PatientAddress',
  'OtherPatientIDs',
  'AccessionNumber',
  'StudyDescription',
  'ReferringPhysicianName',
];

export interface LoggingOptions {
  readonly level: LoggerOptions['level'];
  readonly format: 'auto' | 'json' | 'pretty';
  /** A file that gets the lines as JSON instead of standard output. */
  readonly file?: string;
}

/**
 * The log of a service. Text is static, facts are fields. To follow a study through all services, use the fields
 * `study` (Study Instance UID), `orthancStudy`, `delivery` and `target`.
 */
export function createLogger(service: string, options: LoggingOptions): Logger {
  const settings: LoggerOptions = {
    level: options.level ?? 'info',
    base: { service, pid: process.pid },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: hiddenKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '[hidden]' },
    serializers: { err: describeError },
    mixin: () => {
      const traceId = currentTraceId();
      return traceId === undefined ? {} : { trace_id: traceId };
    },
  };
  if (options.file !== undefined) return pino(settings, pino.destination({ dest: options.file, sync: true }));
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY);
  if (!isPretty) return pino(settings);
  // Text of peers and files is escaped for the terminal; JSON lines contain it unchanged.
  settings.formatters = { ...settings.formatters, log: printableFacts };
  // Loaded only for readable output: services write JSON.
  const pretty = createRequire(import.meta.url)('pino-pretty') as typeof PinoPretty;
  return pino(
    settings,
    pretty({ colorize: process.stdout.isTTY, ignore: 'pid', translateTime: 'SYS:HH:MM:ss.l', singleLine: true }),
  );
}

function printableFacts(facts: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, printableFact(value)]));
}

/** Objects that are not plain, such as errors, are left to their serializers. */
function printableFact(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  if (Array.isArray(value)) return value.map((one) => printableFact(one));
  const isPlain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
  return isPlain ? printableFacts(value as Record<string, unknown>) : value;
}

/** The logged part of an error: its text and codes, its causes, and the stack only for internal errors. */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, stage } = error as { code?: unknown; stage?: unknown };
  const isTranslated = error instanceof DispatchError && code !== 'internal';
  return {
    type: error.name,
    message: printable(error.message),
    ...(code !== undefined && { code }),
    ...(stage !== undefined && { stage }),
    ...((code === undefined || code === 'internal') && { stack: printable(error.stack ?? '') }),
    ...(error.cause !== undefined && { cause: isTranslated ? codesOf(error.cause) : describeError(error.cause) }),
  };
}

/**
 * What is logged of the error that a DispatchError translates. Its text comes from a library, a program or a server, and may
 * contain a path with values of DICOM tags: patient data.
 */
function codesOf(error: unknown): unknown {
  if (error instanceof DispatchError) return describeError(error);
  if (!(error instanceof Error)) return { type: typeof error };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    ...(error.cause !== undefined && { cause: codesOf(error.cause) }),
  };
}
