// The microphone, block by block, at the rate of the audio context.

export async function listen(context, hear) {
  if (!navigator.mediaDevices?.getUserMedia)
    throw new Error("browsers give a microphone to pages of this machine or over https only: open http://127.0.0.1");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false,
      noiseSuppression: false, autoGainControl: false } });
  } catch (problem) {
    const why = { NotAllowedError: "the browser was told not to give it: allow it beside the address",
      NotFoundError: "there is none: plug one in", NotReadableError: "another program holds it: close that" };
    throw new Error(`no microphone: ${why[problem.name] ?? problem.message}`);
  }
  await context.audioWorklet.addModule("/page/worklet.js");
  const source = context.createMediaStreamSource(stream), ear = new AudioWorkletNode(context, "duomorph-ear");
  ear.port.onmessage = ({ data }) => hear(data);
  source.connect(ear);
  return { lost: (then) => { stream.getAudioTracks()[0].onended = then; }, close: () => {
    stream.getTracks().forEach((track) => track.stop());
    source.disconnect();
    ear.port.onmessage = null;
  } };
}
