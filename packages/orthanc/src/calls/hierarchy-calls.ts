import { z } from 'zod';

import type { CallContext, Level } from '../call-context.ts';
import { path, target } from '../http/path.ts';
import type { CallOptions } from '../http/transport.ts';
import type { Instance, Patient, Series, Study } from '../schema.ts';
import { schemaOf } from './resource-calls.ts';
import type { ResourceOf } from './resource-calls.ts';

/** From a resource to those above and below it. */
function createStep(context: CallContext, from: Level) {
  const { transport } = context;

  return {
    async below<T extends Level>(id: string, to: T, options?: CallOptions): Promise<ResourceOf[T][]> {
      // Before 1.12.2 these routes always expand, later this is the default; it is set in any case.
      const where = target(path`/${from}/${id}/${to}`, { expand: true });
      return transport.json(z.array(schemaOf(to)), { method: 'GET', target: where, options });
    },

    async above<T extends Level>(id: string, to: T, name: string, options?: CallOptions): Promise<ResourceOf[T]> {
      const where = target(path`/${from}/${id}/${name}`);
      return transport.json(schemaOf(to), { method: 'GET', target: where, options });
    },
  };
}

export interface StudyTree {
  study: Study;
  series: { series: Series; instances: Instance[] }[];
}

export interface PatientTree {
  patient: Patient;
  studies: StudyTree[];
}

export function createPatientHierarchy(context: CallContext) {
  const { transport } = context;
  const step = createStep(context, 'patients');
  const studies = (id: string, options?: CallOptions) => step.below(id, 'studies', options);
  const series = (id: string, options?: CallOptions) => step.below(id, 'series', options);
  const instances = (id: string, options?: CallOptions) => step.below(id, 'instances', options);

  return {
    studies,
    series,
    instances,

    /** The patient with all studies, series and instances, in four requests. Not a snapshot. */
    async tree(id: string, options?: CallOptions): Promise<PatientTree> {
      const where = target(path`/patients/${id}`);
      const [patient, allStudies, allSeries, allInstances] = await Promise.all([
        transport.json(schemaOf('patients'), { method: 'GET', target: where, options }),
        studies(id, options),
        series(id, options),
        instances(id, options),
      ]);
      const seriesOf = Map.groupBy(allSeries, (each) => each.ParentStudy);
      const instancesOf = Map.groupBy(allInstances, (each) => each.ParentSeries);
      return {
        patient,
        studies: allStudies.map((study) => ({
          study,
          series: (seriesOf.get(study.ID) ?? []).map((each) => ({
            series: each,
            instances: instancesOf.get(each.ID) ?? [],
          })),
        })),
      };
    },

    /** Is the patient protected from recycling? */
    async isProtected(id: string, options?: CallOptions): Promise<boolean> {
      return (
        (await transport.text({ method: 'GET', target: target(path`/patients/${id}/protected`), options })) === '1'
      );
    },

    async setProtected(id: string, on: boolean, options?: CallOptions): Promise<void> {
      const where = target(path`/patients/${id}/protected`);
      await transport.text({ method: 'PUT', target: where, body: on ? '1' : '0', idempotent: true, options });
    },
  };
}

export function createStudyHierarchy(context: CallContext) {
  const step = createStep(context, 'studies');
  return {
    patient: (id: string, options?: CallOptions) => step.above(id, 'patients', 'patient', options),
    series: (id: string, options?: CallOptions) => step.below(id, 'series', options),
    instances: (id: string, options?: CallOptions) => step.below(id, 'instances', options),
  };
}

export function createSeriesHierarchy(context: CallContext) {
  const step = createStep(context, 'series');
  return {
    patient: (id: string, options?: CallOptions) => step.above(id, 'patients', 'patient', options),
    study: (id: string, options?: CallOptions) => step.above(id, 'studies', 'study', options),
    instances: (id: string, options?: CallOptions) => step.below(id, 'instances', options),
  };
}

export function createInstanceHierarchy(context: CallContext) {
  const step = createStep(context, 'instances');
  return {
    patient: (id: string, options?: CallOptions) => step.above(id, 'patients', 'patient', options),
    study: (id: string, options?: CallOptions) => step.above(id, 'studies', 'study', options),
    series: (id: string, options?: CallOptions) => step.above(id, 'series', 'series', options),
  };
}
