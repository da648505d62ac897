import { sendFirst } from '@dicom-dispatch/operations';
import { previewRoute, routeAgain } from '@dicom-dispatch/pipeline';
import { unlessBegun } from './act.ts';
import { findStudy } from './find-study.ts';
import { withSystem } from './with-system.ts';

export interface RouteOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly to?: readonly string[];
  readonly everything?: boolean;
  readonly first?: boolean;
}

/** Routes a study of a source now, whether it was routed before or not. */
export async function routeNow(id: string, options: RouteOptions): Promise<void> {
  await withSystem(options.config, async (system) => {
    const { source, orthancStudyId, studyInstanceUid } = await findStudy(system, id);
    const orthanc = await system.lookup.client(source);
    const request = { source, orthancStudyId, targets: options.to, everything: options.everything };
    if (options.everything !== true) {
      for (const { target, total, confirmed } of await previewRoute(system.operations, request, orthanc)) {
        if (confirmed < total || total === 0) continue;
        console.error(`${target}: already confirmed: ${confirmed} of ${total}; --everything sends them again`);
      }
    }
    const { added } = await system.audited({ action: 'route', subject: `${source} ${orthancStudyId}` }, () =>
      routeAgain(system.operations, request, orthanc, system.actor),
    );
    if (options.first === true) {
      for (const { deliveryId } of added)
        await sendFirst(system.operations, deliveryId, system.actor).catch(unlessBegun);
    }
    const deliveries = added.map(({ target, deliveryId }) => ({ target, deliveryId }));
    if (options.json === true) console.log(JSON.stringify({ source, studyInstanceUid, orthancStudyId, deliveries }));
    else for (const { target, deliveryId } of deliveries) console.log(`${deliveryId} to ${target}`);
  });
}
