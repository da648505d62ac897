import { z } from 'zod';
import { cacheConfig } from './cache-config.ts';
import { consoleConfig } from './console-config.ts';
import { durationMs } from './duration.ts';
import { listenAddress } from './listen-address.ts';
import { configName } from './names.ts';
import { pseudonymsConfig, transformConfig } from './transform-config.ts';
import { pushConfig } from './push-config.ts';
import { receiptsConfig, recordsConfig } from './records-config.ts';
import { redisConfig } from './redis-config.ts';
import { reloadConfig } from './reload-config.ts';
import { ruleConfig } from './rule-config.ts';
import { sourceConfig } from './source-config.ts';
import { targetGroupConfig } from './target-group-config.ts';
import { sizeBytes } from './size.ts';
import type { TargetConfig } from './target-options.ts';

export const dispatcherConfig = z.strictObject({
  concurrency: z
    .int()
    .min(1)
    .max(256)
    .default(8)
    .describe('maximum parallel deliveries of one dispatcher to each target'),
  lockTime: durationMs
    .default(15_000)
    .refine((ms) => ms >= 2_000, 'at least 2s')
    .describe(
      'lock duration: deliveries of a dispatcher that stops renewing its locks are reassigned after this period',
    ),
  memory: sizeBytes
    .default(64_000_000)
    .refine((bytes) => bytes >= 16_000_000, 'at least 16MB')
    .describe('memory for the bytes of instances in transit, shared by all deliveries of a process; others wait'),
  graceTime: durationMs.default(30_000).describe('maximum wait at shutdown for deliveries to reach a safe point'),
});

export const healthConfig = z.strictObject({
  router: listenAddress.default('127.0.0.1:8081').describe('HOST:PORT for health and metrics of a separate router'),
  dispatcher: listenAddress
    .default('127.0.0.1:8082')
    .describe('HOST:PORT for health and metrics of a separate dispatcher; port 0 = any free port'),
});

export const loggingConfig = z.strictObject({
  level: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info').describe('minimum level of log entries'),
  format: z
    .enum(['auto', 'json', 'pretty'])
    .default('auto')
    .describe('auto: pretty on a terminal, otherwise JSON lines'),
});

/** The sections that do not depend on the target types. */
export const configSections = {
  sources: z
    .record(configName, sourceConfig)
    .refine((sources) => Object.keys(sources).length > 0, 'name at least one source')
    .describe('Orthanc servers whose studies are dispatched'),
  groups: z.record(configName, targetGroupConfig).default({}).describe('target groups'),
  transforms: z.record(configName, transformConfig).default({}).describe('changes to instances before they are sent'),
  pseudonyms: pseudonymsConfig.optional().describe('for transforms that assign pseudonyms or new UIDs'),
  rules: z.array(ruleConfig).default([]).describe('which study goes where: all rules that match a study apply'),
  configuration: z
    .enum(['file', 'redis'])
    .default('file')
    .describe(
      'where the configuration is kept: file = this file; redis = Redis, for all hosts together, and this file has only the options to reach it',
    ),
  redis: redisConfig.prefault({}).describe('queues, ledger and cache'),
  records: recordsConfig.prefault({}).describe('records of studies, and of what each target has confirmed'),
  receipts: receiptsConfig.prefault({}).describe('response of the target to each instance, as evidence of delivery'),
  cache: cacheConfig.prefault({}).describe('results that are computed once and used by many deliveries'),
  dispatcher: dispatcherConfig.prefault({}).describe('workers'),
  console: consoleConfig.prefault({}).describe('pages for operators'),
  health: healthConfig.prefault({}).describe('health and metrics of services that run separately'),
  push: pushConfig.prefault({}).describe('pushes from the plugin inside Orthanc'),
  logging: loggingConfig.prefault({}).describe('logging'),
  reload: reloadConfig.prefault({}).describe('reload of this file'),
};

/** The schema of a target's type: a strict object with a literal `type`. */
export type TargetSchema = z.ZodObject<{ type: z.ZodLiteral<string> }>;

export type Config = z.output<z.ZodObject<typeof configSections>> & {
  readonly targets: Readonly<Record<string, TargetConfig>>;
};

/** Output of the schema: `targetDefaults` are merged into the targets, and also still present. */
export type WrittenConfig = Config & { readonly targetDefaults?: unknown };

/** The schema of the complete file, for the known target types. */
export function configSchema(targetSchemas: readonly TargetSchema[]): z.ZodType<WrittenConfig> {
  const [first, ...others] = targetSchemas;
  if (!first) throw new Error('a configuration schema needs at least one target type');
  const targets = z.record(configName, z.discriminatedUnion('type', [first, ...others])).describe('targets');
  return z.strictObject({
    ...configSections,
    targetDefaults: targetDefaults(targetSchemas),
    targets,
  }) as unknown as z.ZodType<WrittenConfig>;
}

export const targetDefaultsText =
  'default options of targets, by target type; an option of the target itself replaces the default';

/** Options that targets of each type may omit. Combinations are checked in the targets. */
function targetDefaults(schemas: readonly TargetSchema[]): z.ZodType {
  const byType = schemas.map((schema) => {
    const { type, ...options } = schema.shape as z.ZodRawShape & Pick<TargetSchema['shape'], 'type'>;
    const shape = Object.fromEntries(Object.entries(options).map(([name, option]) => [name, z.optional(option)]));
    const { catchall } = schema.def;
    return [type.value, (catchall ? z.object(shape).catchall(catchall) : z.strictObject(shape)).optional()] as const;
  });
  return z.strictObject(Object.fromEntries(byType)).optional().describe(targetDefaultsText);
}
