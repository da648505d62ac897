import { OrthancError, type OrthancClient, type Series } from '@dicom-dispatch/orthanc';

export interface Thumbnail {
  readonly bytes: Buffer;
  readonly type: string;
}

const maxImageBytes = 2 * 1024 * 1024;
/** Maximum width and height, in pixels. */
const longestSide = 480;
/** Maximum number of series to check: the first of them may have no image. */
const maxSeries = 3;

/** A small image of a study, from the middle of its largest series with images; undefined if there is none. */
export async function readThumbnail(orthanc: OrthancClient, orthancStudyId: string): Promise<Thumbnail | undefined> {
  try {
    const series = await orthanc.studies.series(orthancStudyId);
    const largest = series.toSorted((one, other) => other.Instances.length - one.Instances.length);
    for (const one of largest.slice(0, maxSeries)) {
      const image = await readMiddle(orthanc, one);
      if (image) return image;
    }
    return undefined;
  } catch (error) {
    if (error instanceof OrthancError) return undefined;
    throw error;
  }
}

async function readMiddle(orthanc: OrthancClient, series: Series): Promise<Thumbnail | undefined> {
  const instances = await orthanc.series.instances(series.ID);
  const number = (tags: Readonly<Record<string, string>>): number => Number(tags['InstanceNumber'] ?? 0) || 0;
  const middle = instances
    .toSorted((one, other) => number(one.MainDicomTags) - number(other.MainDicomTags))
    .at(Math.floor(instances.length / 2));
  if (!middle) return undefined;
  try {
    const { body, contentType } = await orthanc.instances.preview(middle.ID, {
      mode: 'rendered',
      width: longestSide,
      height: longestSide,
      format: 'jpeg',
    });
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    for await (const chunk of body) {
      sizeBytes += chunk.length;
      if (sizeBytes > maxImageBytes) return undefined;
      chunks.push(chunk);
    }
    return contentType?.startsWith('image/') ? { bytes: Buffer.concat(chunks), type: contentType } : undefined;
  } catch (error) {
    // The instance has no image, e.g. a report or a presentation state.
    if (error instanceof OrthancError && error.code === 'bad-request') return undefined;
    throw error;
  }
}
