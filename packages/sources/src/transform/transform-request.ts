import { givesNewUids, type ManifestInstance, type TransformConfig } from '@dicom-dispatch/core';
import type { FullTag } from '@dicom-dispatch/orthanc';
import { findElement } from 'dicom-dimse/dataset';
import { deidentify } from '../deidentify/deidentify.ts';
import { isPrivate } from '../deidentify/profile-table.ts';
import { keptRows, methodOf, profileReport } from '../deidentify/profile-report.ts';
import { isInside, textOf, textsByKeyword, visit, type Changes, type TagTree } from '../deidentify/tag-tree.ts';
import { isOrthancId } from '../guard/check-head.ts';
import { hasCharacterSet, isAscii } from '../inspect/character-sets.ts';
import type { ExpectedChanges } from '../inspect/transform-inspector.ts';
import { findPath } from './find-path.ts';
import { whyUnfit } from './fits-vr.ts';
import { replaceUids } from './identifying-uids.ts';
import { cannotChange } from './cannot-change.ts';
import type { Pseudonyms } from './pseudonyms.ts';
import { characterSetPath, raiseCharacterSet } from './raise-character-set.ts';
import { newUid, pseudonymsOf } from './show-transformed.ts';
import { readStored, type ReadTexts } from './stored-texts.ts';
import { vrOf } from './vr-of.ts';

const patientIdPath = '0010,0020';
const identifiers = ['StudyInstanceUID', 'SeriesInstanceUID', 'SOPInstanceUID'] as const;

/** The request to Orthanc for one instance, and the required result. */
export interface TransformRequest {
  readonly act: 'modify' | 'anonymise';
  readonly body: Record<string, unknown>;
  readonly expected: ExpectedChanges;
}

/** Whether nothing changes but the transfer syntax. */
export function onlyTranscodes(transform: TransformConfig): boolean {
  const { anonymise, set, copy, remove, removePrivateTags } = transform;
  if (anonymise || removePrivateTags || givesNewUids(transform) || remove.length > 0) return false;
  return Object.keys(set).length === 0 && Object.keys(copy).length === 0;
}

/** Whether the request depends on tags of the instance that the manifest does not have. */
export function needsTags(transform: TransformConfig): boolean {
  const { anonymise, copy, remove, removePrivateTags, set } = transform;
  if (givesNewUids(transform) || anonymise !== undefined || removePrivateTags) return true;
  if (Object.keys(copy).length > 0 || !isAscii(Object.values(set).join(''))) return true;
  // All texts of the instance must be converted.
  return [...Object.keys(set), ...remove].some((name) => findPath({}, name) === characterSetPath);
}

/** Whether an instance keeps the patient ID and the UIDs by which Orthanc identifies it. */
export function keepsIdentity(transform: TransformConfig): boolean {
  if (transform.anonymise || givesNewUids(transform)) return false;
  const named = [...Object.keys(transform.set), ...Object.keys(transform.copy), ...transform.remove];
  return !named.some((name) => findPath({}, name) === patientIdPath);
}

/**
 * Whether tags are those of an instance: a cache in front of the source may return others. Tags that the source cannot
 * read are ignored.
 */
export function isTagsOf(instance: ManifestInstance, tags: TagTree): boolean {
  const same = (path: string, uid: string): boolean => {
    const text = textOf(tags[path]);
    return text === undefined || text.replaceAll(/^ +|[\0 ]+$/g, '') === uid;
  };
  if (!same('0008,0018', instance.sopInstanceUid) || !same('0020,000d', instance.studyInstanceUid)) return false;
  if (!same('0020,000e', instance.seriesInstanceUid)) return false;
  const patientId = tags[patientIdPath];
  return patientId?.Value === null || isOrthancId(instance.sourceId, textOf(patientId) ?? '', instance);
}

/**
 * The request for one instance. It depends only on the instance, the transform and the key, so that the
 * same instance always gives the same result.
 *
 * @param tags - the instance in Orthanc's full form; undefined if `needsTags` allows it
 * @throws DispatchError `instance-unsupported` if the instance cannot be changed in this way
 */
export async function transformRequest(
  instance: ManifestInstance,
  tags: TagTree | undefined,
  transform: TransformConfig,
  pseudonyms: Pseudonyms | undefined,
  transferSyntaxUid: string | undefined,
  readTexts: ReadTexts,
): Promise<TransformRequest> {
  const tree = tags ?? {};
  const { anonymise } = transform;
  const changes: Changes = { replace: new Map(), remove: new Set() };
  const isWithoutPrivate = transform.removePrivateTags || (anonymise !== undefined && !anonymise.keepPrivateTags);
  if (anonymise) {
    const isLinked = anonymise.pseudonyms ? pseudonyms : undefined;
    deidentify(tree, { isKept: keptRows(transform), keepPrivate: !isWithoutPrivate, pseudonyms: isLinked }, changes);
  } else if (isWithoutPrivate) {
    visit(tree, ({ path, tag, depth }) => {
      if (!isPrivate(tag)) return true;
      if (depth > 0) changes.remove.add(path);
      return false;
    });
  }
  if (givesNewUids(transform)) addUids(instance, tree, transform, pseudonyms, changes);
  // Orthanc rejects keeping a Patient ID, but writes it.
  if (anonymise && transform.keep.includes('PatientID')) {
    changes.replace.set(patientIdPath, textOf(tree[patientIdPath]) ?? '');
  }
  const copied = await readCopies(instance, tree, transform, readTexts);
  checkValues(instance, tree, transform, copied);
  addNamed(tree, transform, pseudonyms, copied, changes);
  const { tooLong, hasNewCharacterSet } = await raiseCharacterSet(instance, tree, changes, readTexts);

  const kept = [...transform.keep, ...identifiers, ...(anonymise ? [] : ['PatientID'])];
  // By number: each version of DCMTK has its own keywords.
  const keep = kept.map((name) => findPath(tree, name) ?? name).filter((path) => !changes.replace.has(path));
  return {
    act: anonymise ? 'anonymise' : 'modify',
    body: {
      Replace: Object.fromEntries(changes.replace),
      Remove: [...changes.remove],
      Keep: [...new Set(keep)],
      ...(anonymise
        ? {
            KeepPrivateTags: !isWithoutPrivate,
            ...(anonymise.profile !== undefined && { DicomVersion: anonymise.profile }),
          }
        : { RemovePrivateTags: transform.removePrivateTags }),
      Force: true,
      ...(transferSyntaxUid !== undefined && { Transcode: transferSyntaxUid }),
    },
    expected: {
      texts: textsOf(changes, tree),
      removed: changes.remove,
      ascii: tooLong,
      hasNewCharacterSet,
      isWithoutPrivate,
      profile: anonymise && { isKept: keptRows(transform), hasNewUids: givesNewUids(transform) },
      hasPixels: tags && '7fe0,0010' in tags,
      storedSyntaxUid: instance.transferSyntaxUid,
    },
  };
}

/** Texts by path; a keyword that is in no dictionary cannot be found. The patient is always included. */
function textsOf({ replace, remove }: Changes, tree: TagTree): Map<string, string> {
  const texts = new Map<string, string>();
  const patientId = textOf(tree[patientIdPath]);
  if (patientId !== undefined && isAscii(patientId) && !remove.has(patientIdPath)) texts.set(patientIdPath, patientId);
  for (const [path, value] of replace) {
    if (typeof value === 'string' && /^[0-9a-f]{4},[0-9a-f]{4}/.test(path)) texts.set(path, value);
  }
  return texts;
}

function addUids(
  instance: ManifestInstance,
  tree: TagTree,
  transform: TransformConfig,
  pseudonyms: Pseudonyms | undefined,
  { replace, remove }: Changes,
): void {
  const uid = newUid(transform, pseudonyms);
  for (const [path, value] of replaceUids(tree, uid)) {
    const isThere = !replace.has(path) && !remove.has(path) && !isInside(path, { replace, remove });
    if (isThere) replace.set(path, value);
  }
  replace.set('0020,000d', uid(instance.studyInstanceUid));
  replace.set('0020,000e', uid(instance.seriesInstanceUid));
  replace.set('0008,0018', uid(instance.sopInstanceUid));
}

/** The changes of the transform: pseudonyms, copies, values, removals; they take precedence over the profile. */
function addNamed(
  tree: TagTree,
  transform: TransformConfig,
  pseudonyms: Pseudonyms | undefined,
  copied: Readonly<Record<string, string>>,
  { replace, remove }: Changes,
): void {
  const texts = textsByKeyword(tree);
  const named: Record<string, string> = {};
  const report = profileReport(transform);
  if (report) {
    if (pseudonyms) Object.assign(named, pseudonymsOf(texts, transform, pseudonyms));
    else Object.assign(named, emptyPatient(transform));
    const method = methodOf(report);
    named['0012,0062'] = 'YES';
    named['0012,0063'] = method.text;
    if (method.codes.length > 0) {
      replace.set(
        '0012,0064',
        method.codes.map(({ value, meaning }) => ({
          CodeValue: value,
          CodingSchemeDesignator: 'DCM',
          CodeMeaning: meaning,
        })),
      );
    } else remove.add('0012,0064');
  }
  for (const [name, value] of Object.entries({ ...named, ...copied, ...transform.set })) {
    const path = findPath(tree, name) ?? name;
    replace.set(path, value);
    remove.delete(path);
  }
  for (const name of transform.remove) {
    const path = findPath(tree, name) ?? name;
    replace.delete(path);
    remove.add(path);
  }
}

/**
 * Values that a transform writes must be valid for their VR; a value that is copied from the same VR is as valid as before.
 *
 * @throws DispatchError `instance-unsupported`
 */
function checkValues(
  instance: ManifestInstance,
  tree: TagTree,
  { copy, set }: TransformConfig,
  copied: Readonly<Record<string, string>>,
): void {
  for (const [name, value] of Object.entries({ ...copied, ...set })) {
    const vr = vrOf(tree, name);
    if (!Object.hasOwn(set, name) && vr === vrOf(tree, copy[name] ?? '')) continue;
    const reason = whyUnfit(vr, value);
    if (reason !== undefined) cannotChange(instance, `${name} would have ${reason}`);
  }
}

/**
 * Copied values, by destination: none for an attribute that the instance does not have, or that is empty or binary.
 *
 * @throws DispatchError `instance-unsupported` for a sequence, and for a value that is too long or cannot be read
 */
async function readCopies(
  instance: ManifestInstance,
  tree: TagTree,
  { copy }: TransformConfig,
  readTexts: ReadTexts,
): Promise<Record<string, string>> {
  const copied: Record<string, string> = {};
  const isLatin1 = textOf(tree[characterSetPath])?.trim() === 'ISO_IR 100';
  const sources = Object.entries(copy).flatMap(([to, from]) => {
    const path = findPath(tree, from) ?? from;
    const element = tree[path];
    const isThere = element !== undefined && (element.Value !== null || element.Type === 'TooLong');
    return isThere ? [{ to, path, element }] : [];
  });
  const unread = sources.filter(({ element }) => mustReadStored(element, isLatin1)).map(({ path }) => path);
  const stored = unread.length > 0 ? await readTexts(new Set(unread)) : undefined;
  for (const { to, path, element } of sources) {
    const text = unread.includes(path) ? stored?.get(path) : undefined;
    const value = text ? readStored(text, undefined) : textOf(element);
    if (value === undefined) {
      cannotChange(instance, `(${path}) is to be copied, and is no text, too long, or not in its character set`);
    }
    copied[to] = value;
  }
  return copied;
}

/** Orthanc truncates no texts in Latin-1; in other character sets it omits characters that it cannot read. */
function mustReadStored(element: FullTag, isLatin1: boolean): boolean {
  if (element.Type === 'TooLong') return true;
  if (isLatin1 || textOf(element) === undefined) return false;
  const vr = findElement(element.Name)?.vr;
  return vr === undefined || hasCharacterSet(vr);
}

function emptyPatient(transform: TransformConfig): Record<string, string> {
  return Object.fromEntries(
    ['PatientID', 'PatientName'].filter((name) => !transform.keep.includes(name)).map((name) => [name, '']),
  );
}
