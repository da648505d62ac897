import { isUid, type Config } from '@dicom-dispatch/core';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { Study } from '@dicom-dispatch/orthanc';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import { ExpiringMap } from './expiring-map.ts';
import { readThumbnail, type Thumbnail } from './read-thumbnail.ts';

/** Values by which users recognise a study. Patient data: shown to signed-in users, never stored. */
export interface StudyLabel {
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
  readonly patientName: string;
  readonly patientId: string;
  readonly accessionNumber: string;
  readonly description: string;
  /** YYYYMMDD */
  readonly studyDate: string;
}

/** A study found by a search; with identifying values only if the console shows patient data. */
export interface FoundStudy {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
  readonly label: StudyLabel | undefined;
}

export interface FoundStudies {
  readonly found: readonly FoundStudy[];
  /** Sources that could not be queried. */
  readonly silent: readonly string[];
  /** Sources that have more matches than requested. */
  readonly cut: readonly string[];
}

const labelTtlMs = 30_000;
const thumbnailTtlMs = 10 * 60_000;
/** Maximum number of results of a search of one source. */
export const maxFound = 100;

/** Orthanc's id of a study: a SHA-1 in five groups. */
export function isOrthancId(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{8}){4}$/.test(text);
}

/**
 * Reads patient data of studies from the sources, and keeps them in memory for a short time, never in Redis or a log. Pages and
 * responses get patient data of sources only from here: if `console.patientData` is off, none are returned, and searches find
 * complete numbers only, because a match of a part of a name would reveal the name.
 */
export class SourceLookup {
  readonly #config: () => Config;
  readonly #clients = new Map<string, Promise<OrthancClient>>();
  readonly #labels = new ExpiringMap<StudyLabel>(10_000, labelTtlMs);
  readonly #thumbnails = new ExpiringMap<Thumbnail>(200, thumbnailTtlMs);

  constructor(config: () => Config) {
    this.#config = config;
  }

  /** The client of a source. @throws OperationError `not-found` */
  client(source: string): Promise<OrthancClient> {
    return remember(this.#clients, source, () => openSource(this.#sourceConfig(source)));
  }

  /** Whether pages and responses may contain patient data, including values of tags in rules. */
  get showsPatientData(): boolean {
    return this.#config().console.patientData;
  }

  /** Labels for pages and responses; see {@link readLabels}. */
  async labels(source: string, ids: readonly string[]): Promise<Map<string, StudyLabel>> {
    return this.showsPatientData ? this.readLabels(source, ids) : new Map();
  }

  /**
   * Labels of many studies by Orthanc id; deleted ones, and those of an unavailable source, are omitted. For receivers with
   * a separate permission, independent of the console's setting.
   */
  async readLabels(source: string, ids: readonly string[]): Promise<Map<string, StudyLabel>> {
    const known = new Map<string, StudyLabel>();
    const asked: string[] = [];
    for (const id of ids) {
      const label = this.#labels.get(`${source} ${id}`);
      if (label) known.set(id, label);
      else asked.push(id);
    }
    if (asked.length === 0) return known;
    const answers = await this.client(source)
      .then((orthanc) => orthanc.studies.many(asked))
      .catch(() => []);
    for (const answer of answers) {
      const label = toLabel(answer);
      this.#labels.set(`${source} ${answer.ID}`, label);
      known.set(answer.ID, label);
    }
    return known;
  }

  /** Studies of all sources that match a text: accession number, patient, UID or description. */
  async search(entered: string): Promise<FoundStudies> {
    // Some systems enter letters and accents as separate characters.
    const text = entered.normalize('NFC');
    const silent: string[] = [];
    const cut: string[] = [];
    const lists = await Promise.all(
      Object.keys(this.#config().sources).map(async (source) => {
        try {
          const shows = this.showsPatientData;
          const found = await this.#find(source, text);
          if (found.length > maxFound) cut.push(source);
          return found.slice(0, maxFound).map((label): FoundStudy => {
            const { orthancStudyId, studyInstanceUid } = label;
            return { source, orthancStudyId, studyInstanceUid, label: shows ? label : undefined };
          });
        } catch {
          silent.push(source);
          return [];
        }
      }),
    );
    return { found: lists.flat(), silent, cut };
  }

  /** Which of these studies a source has; undefined if it cannot be queried. */
  async present(source: string, ids: readonly string[]): Promise<ReadonlySet<string> | undefined> {
    try {
      const orthanc = await this.client(source);
      return new Set((await orthanc.studies.many(ids)).map(({ ID }) => ID));
    } catch {
      return undefined;
    }
  }

  /** A small image of a study; undefined if there is none, or it must not be shown. */
  async thumbnail(source: string, orthancStudyId: string): Promise<Thumbnail | undefined> {
    if (!this.showsPatientData || !this.#config().console.thumbnails) return undefined;
    const key = `${source} ${orthancStudyId}`;
    const known = this.#thumbnails.get(key);
    if (known) return known;
    const image = await readThumbnail(await this.client(source), orthancStudyId);
    if (image) this.#thumbnails.set(key, image);
    return image;
  }

  /** Closes all connections, after a change of the configuration. */
  async reset(): Promise<void> {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    await Promise.allSettled(clients.map(async (client) => (await client).close()));
  }

  /** Matching studies; more than `maxFound` if there are more. */
  async #find(source: string, text: string): Promise<StudyLabel[]> {
    const orthanc = await this.client(source);
    if (isOrthancId(text)) return (await orthanc.studies.many([text])).map((study) => toLabel(study));
    const queries = this.showsPatientData ? queriesFor(text) : exactQueriesFor(text);
    const lists = await Promise.all(
      queries.map((query) => orthanc.find({ level: 'studies', query, limit: maxFound + 1 })),
    );
    const found = new Map(lists.flat().map((study) => [study.ID, toLabel(study)]));
    return [...found.values()];
  }

  #sourceConfig(source: string) {
    const { sources } = this.#config();
    const config = Object.hasOwn(sources, source) ? sources[source] : undefined;
    if (!config) throw new OperationError('not-found', `there is no source "${source}"`);
    return config;
  }
}

function remember<T>(map: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = map.get(key);
  if (known) return known;
  const made = make();
  map.set(key, made);
  made.catch(() => map.delete(key));
  return made;
}

function queriesFor(text: string): Record<string, string>[] {
  if (isUid(text) && text.includes('.')) return [{ StudyInstanceUID: text }, { SeriesInstanceUID: text }];
  const starts = `${text}*`;
  const contains = `*${text}*`;
  return [
    { AccessionNumber: starts },
    { PatientID: starts },
    ...namesFor(text).map((name) => ({ PatientName: name })),
    { StudyDescription: contains },
  ];
}

/** Up to this number of words is searched in any order; more words in the entered order, beginning with any of them. */
const maxPermuted = 3;
const maxRotated = 8;
/** Names that are written without a space between family name and given name. */
const oneWordName = /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}ー々]{2,8}$/u;

/** Wildcard queries for the words of a name in any order; in the value, components are separated by carets (PS3.5, section 6.2.1). */
function namesFor(text: string): string[] {
  const words = text.split(/[\s,^=・·]+/).filter((word) => word !== '');
  const [first = ''] = words;
  const orders =
    words.length === 1 && oneWordName.test(first)
      ? [words, ...splits(first)]
      : words.length > maxPermuted
        ? rotations(words.slice(0, maxRotated))
        : permutations(words);
  return [...new Set(orders.map((order) => `*${order.join('*')}*`))];
}

function splits(word: string): string[][] {
  const letters = [...word];
  return letters.slice(1).map((_, at) => [letters.slice(0, at + 1).join(''), letters.slice(at + 1).join('')]);
}

function rotations(words: readonly string[]): string[][] {
  return words.map((_, at) => [...words.slice(at), ...words.slice(0, at)]);
}

function permutations(words: readonly string[]): string[][] {
  if (words.length < 2) return [[...words]];
  return words.flatMap((word, at) => permutations(words.toSpliced(at, 1)).map((rest) => [word, ...rest]));
}

/** Complete values only, without wildcards (PS3.4, section C.2.2.2.4). */
function exactQueriesFor(text: string): Record<string, string>[] {
  if (isUid(text) && text.includes('.')) return queriesFor(text);
  return /[*?\\]/.test(text) ? [] : [{ AccessionNumber: text }, { PatientID: text }];
}

function toLabel(answer: Study): StudyLabel {
  const all = { ...answer.PatientMainDicomTags, ...answer.MainDicomTags };
  return {
    orthancStudyId: answer.ID,
    studyInstanceUid: all['StudyInstanceUID'] ?? '',
    patientName: personName(all['PatientName'] ?? ''),
    patientId: all['PatientID'] ?? '',
    accessionNumber: all['AccessionNumber'] ?? '',
    description: all['StudyDescription'] ?? '',
    studyDate: all['StudyDate'] ?? '',
  };
}

/**
 * A person name (PS3.5, section 6.2.1) as text, with its component groups: alphabetic with the family name first, then ideographic
 * and phonetic.
 */
export function personName(value: string): string {
  const [alphabetic = '', ...others] = value.split('=').map((group, index) => writing(group, index === 0 ? ', ' : ' '));
  return [...new Set([alphabetic, ...others])].filter((name) => name !== '').join(' · ');
}

function writing(group: string, between: string): string {
  const [family = '', ...others] = group.split('^').map((part) => part.trim());
  const given = others.slice(0, 2).filter((part) => part !== '');
  return [family, given.join(' ')].filter((part) => part !== '').join(between);
}
