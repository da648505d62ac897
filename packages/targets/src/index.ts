export { aboutType, targetAbouts, targetInfo } from './abouts.ts';
export { readIdentity } from './conflict/index.ts';
export * from './external/index.ts';
export { builtInHandlers, isBuiltIn } from './registry/built-in.ts';
export { resolveTarget, type ResolvedTarget } from './registry/resolve-target.ts';
export { targetSchemas, type BuiltInType } from './schemas.ts';
export { templateTags, type TemplateTags } from './template/index.ts';
