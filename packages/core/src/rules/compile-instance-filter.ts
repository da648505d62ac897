import { Environment, EvaluationError } from '@marcbachmann/cel-js';
import type { ManifestInstance } from '../model/manifest.ts';
import { globToRegExp } from './glob.ts';
import { checkExpression } from './compile-expression.ts';

const environment = new Environment({ unlistedVariablesAreDyn: false })
  .registerVariable('instance', 'map')
  .registerVariable('series', 'map')
  .registerFunction('glob(dyn, string): bool', (value: unknown, pattern: string) =>
    typeof value === 'string' ? globToRegExp(pattern).test(value) : false,
  );

/**
 * Compiles a CEL expression over one `instance` (SOPInstanceUID, SOPClassUID, TransferSyntaxUID, InstanceNumber,
 * SizeBytes) and the tags of its `series`. What is missing makes it false.
 *
 * @throws ExpressionError for what does not parse, or is no truth value
 */
export function compileInstanceFilter(
  text: string,
): (instance: ManifestInstance, series: Readonly<Record<string, string>>) => boolean {
  const parsed = checkExpression(environment, text);
  return (instance, series) => {
    try {
      return parsed({ instance: factsOf(instance), series }) === true;
    } catch (error) {
      if (error instanceof EvaluationError) return false;
      throw error;
    }
  };
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
