"""A data set: a folder of sounds and curves with one manifest, made to be trained on.

One promise: what stands in the manifest is complete; every number of it was measured when the clip came in.

    dataset/
      manifest.jsonl            one clip a line: who speaks, in which style, under which licence, with which checksums
      audio/<id>.flac           any sound that `duomorph.audio` reads
      curves/<id>.jsonl         the curves, as `duomorph.formats.jsonl` writes them
      split.json                which clips are held out, once `duomorph data split` has said so
"""
