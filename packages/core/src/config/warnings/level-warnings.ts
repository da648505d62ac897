import { serialize, type ASTNode } from '@marcbachmann/cel-js';
import { eachTag, isNode } from '../../rules/wanted-tags.ts';

/** Attributes of a series or an instance: a study has as many values as it has series (PS3.3 sections C.7.3 and C.12.1). */
const belowStudy: ReadonlySet<string> = new Set([
  'Modality',
  'SeriesInstanceUID',
  'SeriesNumber',
  'SeriesDescription',
  'SeriesDate',
  'SeriesTime',
  'BodyPartExamined',
  'Laterality',
  'ProtocolName',
  'StationName',
  'Manufacturer',
  'ManufacturerModelName',
  'PerformedProcedureStepDescription',
  'SOPInstanceUID',
  'SOPClassUID',
  'InstanceNumber',
  'ImageType',
  'TransferSyntaxUID',
]);

/** Code strings (PS3.5 section 6.2, VR CS): they have no small letters. */
const codes: ReadonlySet<string> = new Set([
  'Modality',
  'ModalitiesInStudy',
  'PatientSex',
  'BodyPartExamined',
  'Laterality',
  'ImageType',
]);

/** Series-level tags used on a study, and codes in lower case, which never match. */
export function levelWarnings(ast: ASTNode): string[] {
  const found: string[] = [];
  eachTag(ast, ({ variable, name }) => {
    if ((variable !== 'study' && variable !== 'prior') || !belowStudy.has(name)) return;
    const series = variable === 'prior' ? 'priorSeries' : 'series';
    const remedy =
      name === 'Modality'
        ? `"CT" in ${variable}.ModalitiesInStudy, or ${series}.exists(s, s.Modality == "CT")`
        : `${series}.exists(s, s.${name} == "…")`;
    found.push(
      `${variable}.${name} has the value of one instance only, because it belongs to series and instances: write ${remedy}`,
    );
  });
  eachComparison(ast, (tag, constant) => {
    if (!codes.has(tag) || constant === constant.toUpperCase()) return;
    found.push(
      `"${constant}" is never a value of ${tag}, whose codes are written in capitals: "${constant.toUpperCase()}"`,
    );
  });
  return found;
}

/** Calls back with each tag that is compared with a constant text: `tag == "x"`, `"x" in tag`, `tag in ["x", "y"]`. */
function eachComparison(value: unknown, select: (tag: string, constant: string) => void): void {
  if (Array.isArray(value)) {
    for (const one of value) eachComparison(one, select);
    return;
  }
  if (!isNode(value)) return;
  if (value.op === '==' || value.op === '!=' || value.op === 'in') {
    const [left, right] = value.args;
    for (const [tag, other] of [
      [tagOf(left), right],
      [tagOf(right), left],
    ] as const) {
      if (tag !== undefined) for (const constant of constantsOf(other)) select(tag, constant);
    }
  }
  eachComparison(value.args, select);
}

function tagOf(node: ASTNode): string | undefined {
  return /^\w+(?:\.(\w+)|\["(\w+)"\])$/
    .exec(serialize(node))
    ?.slice(1)
    .find((name) => name !== undefined);
}

function constantsOf(node: ASTNode): string[] {
  if (node.op === 'list') return node.args.flatMap(constantsOf);
  return node.op === 'value' && typeof node.args === 'string' ? [node.args] : [];
}
