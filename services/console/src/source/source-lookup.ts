import type { Config } from '@dicom-dispatch/core';
import { isUid } from '@dicom-dispatch/core';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import { z } from 'zod';
import { ExpiringMap } from './expiring-map.ts';
import { SourceAnswerError, SourceHttp } from './source-http.ts';

/** What of a study a person recognises it by. Patient data: shown to those signed in, kept nowhere. */
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

export interface FoundStudies {
  readonly found: readonly (StudyLabel & { readonly source: string })[];
  /** Sources that could not be asked. */
  readonly silent: readonly string[];
}

const tags = z.record(z.string(), z.string()).default({});
const studyAnswer = z.object({ ID: z.string(), MainDicomTags: tags, PatientMainDicomTags: tags });
const studyAnswers = z.array(studyAnswer.nullable());

const labelTtlMs = 30_000;
const thumbnailTtlMs = 10 * 60_000;
const mostFound = 100;
const atOnce = 8;

/** Asks the sources who a study is about: live, kept in memory for a moment, never in Redis or a log. */
export class SourceLookup {
  readonly #config: () => Config;
  readonly #http = new Map<string, Promise<SourceHttp>>();
  readonly #clients = new Map<string, Promise<OrthancClient>>();
  readonly #labels = new ExpiringMap<StudyLabel>(10_000, labelTtlMs);
  readonly #thumbnails = new ExpiringMap<{ bytes: Buffer; type: string }>(200, thumbnailTtlMs);

  constructor(config: () => Config) {
    this.#config = config;
  }

  /** The client for what operations read of a source. */
  client(source: string): Promise<OrthancClient> {
    return remember(this.#clients, source, () => openSource(this.#sourceConfig(source)));
  }

  /** Labels of many studies by Orthanc's id; what is gone, or a source that does not answer, is left out. */
  async labels(source: string, ids: readonly string[]): Promise<Map<string, StudyLabel>> {
    const known = new Map<string, StudyLabel>();
    const asked: string[] = [];
    for (const id of ids) {
      const label = this.#labels.get(`${source} ${id}`);
      if (label) known.set(id, label);
      else asked.push(id);
    }
    if (asked.length === 0) return known;
    const answers = await this.#readMany(source, asked).catch(() => []);
    for (const answer of answers) {
      if (!answer) continue;
      const label = toLabel(answer);
      this.#labels.set(`${source} ${answer.ID}`, label);
      known.set(answer.ID, label);
    }
    return known;
  }

  /** Studies of all sources that a person could mean by a text: accession number, patient, UID or description. */
  async search(text: string): Promise<FoundStudies> {
    const silent: string[] = [];
    const lists = await Promise.all(
      Object.keys(this.#config().sources).map(async (source) => {
        try {
          const found = await this.#find(source, queriesFor(text));
          return found.map((label) => Object.assign({ source }, label));
        } catch {
          silent.push(source);
          return [];
        }
      }),
    );
    return { found: lists.flat(), silent };
  }

  /** A small image of a study; undefined when there is none. */
  async thumbnail(source: string, orthancStudyId: string): Promise<{ bytes: Buffer; type: string } | undefined> {
    const key = `${source} ${orthancStudyId}`;
    const known = this.#thumbnails.get(key);
    if (known) return known;
    const http = await this.#open(source);
    try {
      const instances = z
        .array(z.object({ ID: z.string(), MainDicomTags: tags }))
        .parse(await http.json('GET', `/studies/${encodeURIComponent(orthancStudyId)}/instances?expand`));
      const middle = instances
        .sort((a, b) => Number(a.MainDicomTags['InstanceNumber'] ?? 0) - Number(b.MainDicomTags['InstanceNumber'] ?? 0))
        .at(Math.floor(instances.length / 2));
      if (!middle) return undefined;
      const image = await http.image(`/instances/${encodeURIComponent(middle.ID)}/preview`);
      if (!image.type.startsWith('image/')) return undefined;
      this.#thumbnails.set(key, image);
      return image;
    } catch (error) {
      if (error instanceof SourceAnswerError || error instanceof z.ZodError) return undefined;
      throw error;
    }
  }

  /** Forgets connections: the configuration has changed. */
  async reset(): Promise<void> {
    const open = [...this.#http.values()];
    const clients = [...this.#clients.values()];
    this.#http.clear();
    this.#clients.clear();
    await Promise.allSettled([
      ...open.map(async (http) => (await http).close()),
      ...clients.map(async (client) => (await client).close()),
    ]);
  }

  async #readMany(source: string, ids: readonly string[]) {
    const http = await this.#open(source);
    try {
      return studyAnswers.parse(
        await http.json('POST', '/tools/bulk-content', { Resources: ids, Level: 'Study', Metadata: false }),
      );
    } catch (error) {
      // Orthanc before 1.12, or one of the studies is gone: one by one then.
      if (!(error instanceof SourceAnswerError) || error.status === undefined) throw error;
    }
    const answers: z.infer<typeof studyAnswers> = [];
    const queue = ids.values();
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (const id of queue) {
          const answer = await http.json('GET', `/studies/${encodeURIComponent(id)}`).catch(() => null);
          if (answer !== null) answers.push(studyAnswer.parse(answer));
        }
      }),
    );
    return answers;
  }

  async #find(source: string, queries: readonly Record<string, string>[]): Promise<StudyLabel[]> {
    const http = await this.#open(source);
    const lists = await Promise.all(
      queries.map((Query) =>
        http.json('POST', '/tools/find', {
          Level: 'Study',
          Expand: true,
          Limit: mostFound,
          CaseSensitive: false,
          Query,
        }),
      ),
    );
    const found = new Map<string, StudyLabel>();
    for (const answer of lists.flatMap((list) => studyAnswers.parse(list))) {
      if (answer) found.set(answer.ID, toLabel(answer));
    }
    return [...found.values()].slice(0, mostFound);
  }

  #open(source: string): Promise<SourceHttp> {
    return remember(this.#http, source, () => SourceHttp.open(this.#sourceConfig(source)));
  }

  #sourceConfig(source: string) {
    const config = this.#config().sources[source];
    if (!config) throw new SourceAnswerError(`the source ${source} is not configured any more`);
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
    { PatientName: contains },
    { StudyDescription: contains },
  ];
}

function toLabel(answer: z.infer<typeof studyAnswer>): StudyLabel {
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

/** A person name (PS3.5, section 6.2.1) as people write it: family name, then the others; in its first writing. */
export function personName(value: string): string {
  const written = value.split('=').find((group) => group.replaceAll('^', '').trim() !== '') ?? '';
  const [family = '', ...others] = written.split('^').map((part) => part.trim());
  const given = others.slice(0, 2).filter((part) => part !== '');
  return [family, given.join(' ')].filter((part) => part !== '').join(', ');
}
