import { z } from 'zod';
import { configWarnings, parseConfig, targetOptions, type TargetSchema } from '../index.ts';

const text = z.string().optional();
const anything = z.record(z.string(), z.unknown()).optional();
const target = (type: string, options: z.ZodRawShape = {}): z.ZodObject =>
  z.strictObject({ type: z.literal(type), ...targetOptions, ...options });

const schemas = [
  target('dummy'),
  target('dicom', { host: text, port: z.int().optional(), calledAeTitle: text, tls: anything }),
  target('dicomweb', { url: text, headers: anything, auth: anything, password: z.unknown().optional() }),
  target('folder', { path: text, layout: text }),
  target('s3', { endpoint: text, secretKey: z.unknown().optional() }),
] as unknown as TargetSchema[];

/** Warnings about a configuration of one source, target and rule, with some sections replaced, as `path: message`. */
export function warningsOf(sections: object): string[] {
  const parsed = parseConfig(
    {
      sources: { a: { url: 'http://127.0.0.1:8042' } },
      targets: { d: { type: 'dicom' } },
      rules: [{ name: 'r', targets: ['d'] }],
      ...sections,
    },
    schemas,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return configWarnings(parsed.config).map(({ path, message }) => `${path.join('.')}: ${message}`);
}
