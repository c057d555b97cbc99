"""How the face networks that facefit ships are made: the published TFLite files as ONNX, see __main__."""
