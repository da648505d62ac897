import { DispatchError, type SourceConfig } from '@dicom-dispatch/core';
import { openSource, sourceError, type OrthancClient } from '@dicom-dispatch/sources';
import type { Check } from '@dicom-dispatch/target-kit';

const longestMs = 20_000;

/**
 * Tests the requests of a router and a dispatcher to a source, and yields each check when it ends. Changes nothing; ends with the
 * first failure.
 */
export async function* testSource(name: string, config: SourceConfig): AsyncGenerator<Check> {
  const signal = AbortSignal.timeout(longestMs);
  let orthanc: OrthancClient;
  try {
    orthanc = await openSource(config);
  } catch (error) {
    yield failed('tls', 0, error, name);
    return;
  }
  try {
    for (const [check, act] of Object.entries(checks)) {
      const began = performance.now();
      try {
        const detail = await act(orthanc, signal);
        yield { name: check, result: 'passed', durationMs: performance.now() - began, detail };
      } catch (error) {
        yield failed(check, performance.now() - began, error, name);
        return;
      }
    }
  } finally {
    await orthanc.close();
  }
}

const checks: Readonly<Record<string, (orthanc: OrthancClient, signal: AbortSignal) => Promise<string>>> = {
  async connect(orthanc, signal) {
    const { Name: title, Version: version, DicomAet: aet } = await orthanc.system({ signal });
    return `Orthanc ${version}${title === undefined ? '' : `, ${title}`}${aet === undefined ? '' : `, AE title ${aet}`}`;
  },
  async changes(orthanc, signal) {
    const last = await orthanc.lastChange({ signal });
    return last ? `its change feed is at change ${last.Seq}` : 'its change feed is empty';
  },
  async studies(orthanc, signal) {
    const { CountStudies: studies, CountInstances: instances } = await orthanc.statistics({ signal });
    return `it has ${studies} studies, ${instances} instances`;
  },
};

function failed(name: string, durationMs: number, thrown: unknown, source: string): Check {
  const error = sourceError(thrown, source, 'connect');
  const remedy = error instanceof DispatchError ? error.remedy : undefined;
  const detail = error instanceof Error ? error.message : 'it failed';
  return { name, result: 'failed', durationMs, detail, ...(remedy !== undefined && { remedy }) };
}
