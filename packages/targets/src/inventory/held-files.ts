import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Holding, ListedInstance, StudyToList } from '@dicom-dispatch/target-kit';
import { distinguishes, parseTemplate } from '../template/parse-template.ts';
import { renderTemplate, type RenderLimits } from '../template/index.ts';

export interface FoundFile {
  /** Undefined if the target does not report it. */
  readonly sizeBytes: number | undefined;
  /** `other`: the name belongs to something that is not a file. */
  readonly kind: 'file' | 'other';
  /** The target's identifier of the content, e.g. an ETag. */
  readonly tag?: string | undefined;
}

/** A target with a separate path for each instance. Paths are those of the layout. */
export interface FileStore {
  /** Files of one folder by name, without those of subfolders; undefined if it cannot be listed. */
  list(folder: string): Promise<ReadonlyMap<string, FoundFile> | undefined>;
  /** @returns undefined if the file does not exist; `refused` if the target does not report whether it exists */
  look(path: string): Promise<FoundFile | undefined | 'refused'>;
  /** SHA-256 of a file, hexadecimal; undefined if it does not exist. */
  sha256(path: string): Promise<string | undefined>;
  /** What the tag of a file proves without reading it; undefined if it proves nothing. */
  judgeTag?(instance: ListedInstance, found: FoundFile): 'same' | undefined;
}

/**
 * Content of such a target for a study. A folder that belongs to one study or series alone by the layout is listed once, and other files
 * in it are reported as extra; in other folders each path is checked.
 */
export async function* heldFiles(
  { study, instances, content }: StudyToList,
  { layout, limits }: { readonly layout: string; readonly limits?: RenderLimits | undefined },
  store: FileStore,
): AsyncGenerator<Holding, void, undefined> {
  const segments = parseTemplate(layout === 'flat' ? '{SOPInstanceUID}.dcm' : layout);
  const above = segments.slice(0, -1);
  const isOwn = distinguishes(above, 'StudyInstanceUID') || distinguishes(above, 'SeriesInstanceUID');
  const paths = instances.map((one) => [renderTemplate(segments, study, one.instance, limits), one] as const);
  for (const [folder, some] of Map.groupBy(paths, ([path]) => posix.dirname(path))) {
    const listed = isOwn ? await store.list(folder) : undefined;
    for (const [path, instance] of some) {
      const found = listed ? listed.get(posix.basename(path)) : await store.look(path);
      if (found === undefined) continue;
      if (found === 'refused') {
        yield { kind: 'unread', instance, reason: 'the target does not report whether the file exists' };
      } else if (found.kind === 'other') {
        yield { kind: 'held', instance, content: 'different' };
      } else {
        yield { kind: 'held', instance, ...(await describe(instance, path, found)) };
      }
    }
    if (listed)
      yield* extras(
        listed,
        some.map(([path]) => posix.basename(path)),
      );
  }

  async function describe(instance: ListedInstance, path: string, found: FoundFile) {
    const { sizeBytes } = found;
    const isOtherSize = sizeBytes !== undefined && instance.sizeBytes !== undefined && sizeBytes !== instance.sizeBytes;
    if (isOtherSize) return { sizeBytes };
    const verdict = store.judgeTag?.(instance, found);
    if (verdict === 'same') return { sizeBytes, content: verdict };
    // A changed tag means that the file was written again: then it is read even if no content check was requested.
    if (!content && !(found.tag !== undefined && store.judgeTag && hasTag(instance))) return { sizeBytes };
    return { sizeBytes, content: await compareContent(instance, () => store.sha256(path)) };
  }
}

function hasTag({ answer }: ListedInstance): boolean {
  return answer !== undefined && tagIn(answer) !== undefined;
}

/** The MD5 at the end of the handler's response text for an upload: `new as PATH, ETag 0123…`, or `MD5 0123…`. */
export function tagIn(answer: string): string | undefined {
  return /, (?:ETag|MD5) ([0-9a-f]{32})$/i.exec(answer)?.[1]?.toLowerCase();
}

/** @returns undefined if the sent data are unknown */
export async function compareContent(
  instance: ListedInstance,
  digest: () => Promise<string | undefined>,
): Promise<'same' | 'different' | undefined> {
  const expected = await instance.sha256();
  if (expected === undefined) return undefined;
  return (await digest()) === expected ? 'same' : 'different';
}

/** SHA-256, hexadecimal. */
export async function sha256Of(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const digest = createHash('sha256');
  for await (const chunk of chunks) digest.update(chunk);
  return digest.digest('hex');
}

/** Other files whose names have an extension of the instances; without markers and temporary files. */
function* extras(
  listed: ReadonlyMap<string, FoundFile>,
  names: readonly string[],
): Generator<Holding, void, undefined> {
  const known = new Set(names);
  const endings = new Set(names.map((name) => posix.extname(name)));
  for (const [name, { kind }] of listed) {
    if (kind !== 'file' || known.has(name) || /^[.~]/.test(name) || !endings.has(posix.extname(name))) continue;
    yield { kind: 'extra', name: shown(name) };
  }
}

/** A name for messages. Only a UID certainly contains no patient data: other names are not shown. */
function shown(name: string): string {
  const uid = /^\d+(?:\.\d+){3,}(?=\.[A-Za-z]{1,8}$|$)/.exec(name)?.[0];
  return uid === undefined ? 'a file whose name is not shown' : uid.slice(0, 64);
}
