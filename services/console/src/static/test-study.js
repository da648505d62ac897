// Stores a synthetic study in a source, and opens the page of the study, which shows its deliveries.

const { ask, notice, noticeAfterLoad } = await import(document.querySelector('script[src*="/console.js"]').src);

document.querySelector('form[data-test-study]').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { source, modality } = event.target.elements;
  event.submitter.disabled = true;
  try {
    const path = `/api/sources/${encodeURIComponent(source.value)}/test-study`;
    const { orthancStudyId, instances } = await ask('POST', path, { modality: modality.value });
    noticeAfterLoad(
      `Stored in ${source.value}: ${instances} instances. It is routed when Orthanc reports it as stable.`,
    );
    location.assign(`/studies/${encodeURIComponent(source.value)}/${encodeURIComponent(orthancStudyId)}`);
  } catch (error) {
    notice(error.message, { isBad: true });
    event.submitter.disabled = false;
  }
});
