export { isExternal } from './external-type.ts';
export { targetKit, type TargetKit } from './kit.ts';
export { loadHandler, readOptions, type LoadOptions } from './load-handler.ts';
export { adoptTarget } from './adopt-target.ts';
