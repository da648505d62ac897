import type { DeliveryData } from '@dicom-dispatch/core';
import type { StudyKey } from './record-reader.ts';
import type { StudyRecord } from './record-types.ts';

/** A study's record as a list; its source and Orthanc id are in its key. */
const studyFields = [
  'epoch',
  'studyInstanceUid',
  'contentHash',
  'instanceCount',
  'modalities',
  'rules',
  'targets',
  'studyTaskId',
  'routedAt',
  'lastUpdate',
  'search',
] as const satisfies readonly (keyof StudyRecord)[];

/** The data of a delivery as a list; its id is in its key. */
const deliveryFields = [
  'source',
  'orthancStudyId',
  'epoch',
  'studyInstanceUid',
  'contentHash',
  'instanceCount',
  'modalities',
  'rules',
  'studyTaskId',
  'routedAt',
  'priority',
  'target',
] as const satisfies readonly (keyof DeliveryData)[];

/**
 * The stored text of a study's record: a JSON list with the values of {@link studyFields}, then an object with all
 * others, if there are any. Until format 5 of the data it was an object with all of them, which is still read.
 */
export function encodeStudy(study: StudyRecord): string {
  const { source: _, orthancStudyId: __, search, ...rest } = study;
  return listed({ ...rest, search: search && [search.key, ...search.hashes] }, studyFields);
}

/** @throws SyntaxError if the text is damaged */
export function decodeStudy(text: string, { source, orthancStudyId }: StudyKey): StudyRecord {
  const { search, ...rest } = named(text, studyFields);
  if (!isStudy(rest)) throw new SyntaxError('not the record of a study');
  const [key, ...hashes] = Array.isArray(search) ? (search as string[]) : [];
  const found = key === undefined ? search : { key, hashes };
  return { source, orthancStudyId, ...rest, ...(found !== undefined && { search: found }) } as StudyRecord;
}

/** The stored text of the data of a delivery, like {@link encodeStudy}. */
export function encodeData(data: DeliveryData): string {
  const { deliveryId: _, ...rest } = data;
  return listed(rest, deliveryFields);
}

/** @throws SyntaxError if the text is damaged */
export function decodeData(text: string, deliveryId: string): DeliveryData {
  const data = named(text, deliveryFields);
  if (!isDelivery(data)) throw new SyntaxError('not the data of a delivery');
  return { deliveryId, ...data } as DeliveryData;
}

/** Whether the fields without which a delivery can be neither found nor run are there. */
function isDelivery({ source, target, rules }: Record<string, unknown>): boolean {
  return typeof source === 'string' && typeof target === 'string' && Array.isArray(rules);
}

/** Whether the fields without which a study can be neither found nor compared are there. */
function isStudy({ studyInstanceUid, contentHash, routedAt, rules, targets }: Record<string, unknown>): boolean {
  return (
    typeof studyInstanceUid === 'string' &&
    typeof contentHash === 'string' &&
    typeof routedAt === 'number' &&
    Array.isArray(rules) &&
    Array.isArray(targets)
  );
}

function listed(record: Readonly<Record<string, unknown>>, fields: readonly string[]): string {
  const rest = Object.entries(record).filter(([name, value]) => value !== undefined && !fields.includes(name));
  const values = fields.map((name) => record[name] ?? null);
  return storedJson(rest.length > 0 ? [...values, Object.fromEntries(rest)] : values);
}

/**
 * JSON that scripts can read. Redis rejects half a surrogate pair, e.g. at the end of a text that was cut: it becomes the
 * replacement character.
 */
export function storedJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!/\\ud[89a-f]/.test(text)) return text;
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'string' ? one.toWellFormed() : one));
}

function named(text: string, fields: readonly string[]): Record<string, unknown> {
  const values = JSON.parse(text) as unknown;
  if (typeof values !== 'object' || values === null) throw new SyntaxError('not a record');
  if (!Array.isArray(values)) return values as Record<string, unknown>;
  const record = { ...(values[fields.length] as Record<string, unknown> | undefined) };
  for (const [at, name] of fields.entries()) {
    if (values[at] !== null && values[at] !== undefined) record[name] = values[at];
  }
  return record;
}

/**
 * Lua: `study_of(text)`, without the source and the id of the study, `data_of(text, id)` of a delivery, and
 * `readable_study(text)` and `readable_data(text, id)`, which are nil for a damaged record, as {@link decodeStudy} and
 * {@link decodeData} define it.
 */
export const readStoredForm = `
local study_fields = { ${luaTexts(studyFields)} }
local delivery_fields = { ${luaTexts(deliveryFields)} }
local function named(text, fields)
  local values = cjson.decode(text)
  if string.sub(text, 1, 1) ~= '[' then return values end
  local record = values[#fields + 1] or {}
  for at, name in ipairs(fields) do
    if values[at] ~= cjson.null then record[name] = values[at] end
  end
  return record
end
local function study_of(text)
  local study = named(text, study_fields)
  local search = study.search
  if search and search[1] then study.search = { key = search[1], hashes = { unpack(search, 2) } } end
  return study
end
local function readable_study(text)
  local ok, study = pcall(study_of, text)
  local is_study = ok and type(study) == 'table' and type(study.studyInstanceUid) == 'string' and type(study.contentHash) == 'string'
    and type(study.routedAt) == 'number' and type(study.rules) == 'table' and type(study.targets) == 'table'
  return is_study and study or nil
end
local function data_of(text, id)
  local data = named(text, delivery_fields)
  data.deliveryId = id
  return data
end
local function readable_data(text, id)
  local ok, data = pcall(data_of, text, id)
  local is_data = ok and type(data.source) == 'string' and type(data.target) == 'string' and type(data.rules) == 'table'
  return is_data and data or nil
end
`;

function luaTexts(texts: readonly string[]): string {
  return texts.map((text) => `'${text}'`).join(', ');
}
