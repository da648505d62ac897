export { reconcile } from './reconcile.ts';
export {
  repairKinds,
  type Findings,
  type Problem,
  type ProblemKind,
  type ReconcileContext,
  type RepairKind,
} from './reconcile-context.ts';
export { readReconcileReport, type ReconcileReport } from './reconcile-report.ts';
export { startReconciler, type ReconcilerOptions } from './start-reconciler.ts';
