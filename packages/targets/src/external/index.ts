export { isExternal } from './external-type.ts';
export { loadHandler, readOptions, type LoadOptions } from './load-handler.ts';
export { adoptTarget } from './adopt-target.ts';
