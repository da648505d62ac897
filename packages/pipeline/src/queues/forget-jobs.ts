/**
 * The BullMQ part of removing a study: a part of the script in `packages/state/src/records/forget-script.ts`, where
 * `prefix` is defined. Ended jobs are removed as BullMQ would, with one exception: BullMQ runs a study task when its last
 * child job is removed, as if all had been delivered. Here the study task is removed with them.
 */
export const forgetJobs = `
local taskSets, jobSets = { 'completed', 'failed', 'waiting-children' }, { 'completed', 'failed' }
local function isAtRest(queue, id, sets)
  local base = prefix .. ':' .. queue .. ':'
  if redis.call('EXISTS', base .. id) == 0 then return true end
  for _, set in ipairs(sets) do if redis.call('ZSCORE', base .. set, id) then return true end end
  return false
end
local function jobOf(data) return prefix .. ':target-' .. data.target .. ':' .. data.deliveryId end
local function taskOf(data)
  local parent = redis.call('HGET', jobOf(data), 'parentKey')
  return parent and string.match(parent, '([^:]+)$') or data.studyTaskId
end
local function dropJob(queue, id)
  local base = prefix .. ':' .. queue .. ':'
  local job = base .. id
  if redis.call('EXISTS', job) == 0 then return end
  for _, set in ipairs(taskSets) do redis.call('ZREM', base .. set, id) end
  redis.call('UNLINK', job, job .. ':logs', job .. ':dependencies', job .. ':processed', job .. ':failed', job .. ':unsuccessful')
end

local function areJobsAtRest(data)
  return isAtRest('target-' .. data.target, data.deliveryId, jobSets)
    and isAtRest('study', taskOf(data), taskSets) and isAtRest('study', data.studyTaskId, taskSets)
end
local function jobKeys(data) return { jobOf(data), jobOf(data) .. ':logs' } end
local function dropJobs(data)
  local tasks = { taskOf(data), data.studyTaskId }
  dropJob('target-' .. data.target, data.deliveryId)
  for _, task in ipairs(tasks) do dropJob('study', task) end
  return tasks
end
`;
