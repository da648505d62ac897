import { routeAgain } from '@dicom-dispatch/pipeline';
import { findStudy } from './find-study.ts';
import { withSystem } from './with-system.ts';

export interface RouteOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly to?: readonly string[];
  readonly everything?: boolean;
}

/** Routes a study of a source now, whether it was routed before or not. */
export async function routeNow(id: string, options: RouteOptions): Promise<void> {
  await withSystem(options.config, async (system) => {
    const { source, orthancStudyId, studyInstanceUid } = await findStudy(system, id);
    const orthanc = await system.lookup.client(source);
    const { added } = await system.audited({ action: 'route', subject: `${source} ${orthancStudyId}` }, () =>
      routeAgain(
        system.operations,
        { source, orthancStudyId, targets: options.to, everything: options.everything },
        orthanc,
        system.actor,
      ),
    );
    const deliveries = added.map(({ target, deliveryId }) => ({ target, deliveryId }));
    if (options.json === true) console.log(JSON.stringify({ source, studyInstanceUid, orthancStudyId, deliveries }));
    else for (const { target, deliveryId } of deliveries) console.log(`${deliveryId} to ${target}`);
  });
}
