export { shortHash } from './fit-bytes.ts';
export { parseTemplate, TemplateError, usesLevel, type TemplateSegments } from './parse-template.ts';
export { showPath } from './show-path.ts';
export { renderTemplate, type RenderLimits } from './render-template.ts';
export { templateTags, type TemplateTags } from './template-tags.ts';
export { claimName, hiddenNames, isAbandoned, leftOverKind, probeName, temporaryName } from './temporary-name.ts';
export { instanceTemplate, studyTemplate, uidTemplate } from './schema.ts';
