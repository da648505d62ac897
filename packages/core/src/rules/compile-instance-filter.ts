import { EvaluationError } from '@marcbachmann/cel-js';
import type { ManifestInstance } from '../model/manifest.ts';
import { checkExpression } from './compile-expression.ts';
import { newEnvironment } from './functions.ts';
import { wantedTags } from './wanted-tags.ts';

const environment = newEnvironment().registerVariable('instance', 'map').registerVariable('series', 'map');

/** Properties known of every instance; any other tag must be read from the source. */
const known = new Set(['SOPInstanceUID', 'SOPClassUID', 'TransferSyntaxUID', 'InstanceNumber', 'SizeBytes']);

type Tags = Readonly<Record<string, string>>;

export interface InstanceFilter {
  (instance: ManifestInstance, series: Tags, tags?: Tags): boolean;
  /** Tags of instances to which it refers and that a manifest does not have. */
  readonly wanted: readonly string[];
}

/**
 * Compiles a CEL expression over one `instance` (SOPInstanceUID, SOPClassUID, TransferSyntaxUID, InstanceNumber,
 * SizeBytes, and any other tag, which must then be read from the source) and the tags of its `series`. Missing tags
 * make it false.
 *
 * @throws ExpressionError for syntax errors, or a result that is not boolean
 */
export function compileInstanceFilter(text: string): InstanceFilter {
  const parsed = checkExpression(environment, text);
  const filter = (instance: ManifestInstance, series: Tags, tags: Tags = {}): boolean => {
    try {
      return parsed({ instance: { ...tags, ...factsOf(instance) }, series }) === true;
    } catch (error) {
      if (error instanceof EvaluationError) return false;
      throw error;
    }
  };
  return Object.assign(filter, { wanted: [...wantedTags(parsed.ast).instance].filter((name) => !known.has(name)) });
}

function factsOf(instance: ManifestInstance): Record<string, unknown> {
  return {
    SOPInstanceUID: instance.sopInstanceUid,
    ...(instance.sopClassUid !== undefined && { SOPClassUID: instance.sopClassUid }),
    ...(instance.transferSyntaxUid !== undefined && { TransferSyntaxUID: instance.transferSyntaxUid }),
    ...(instance.instanceNumber !== undefined && { InstanceNumber: instance.instanceNumber }),
    SizeBytes: instance.sizeBytes,
  };
}
